"""The two tokenizers of lion-mini, made from the world's vocabulary rather than learnt from text.

T5's: one piece a word, one piece a coordinate (``0.00`` to ``1.00``), letters for everything else, so that a box costs
nine pieces and no text is lost. BERT's, for the Q-Former: words and numbers, letters for everything else. Both lower
the case of letters, and use special tokens as FLAN-T5 and BERT do.
"""

import string
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lion.prompts import SOFT_TOKEN

COORDINATES = tuple(f"{hundredth / 100:.2f}" for hundredth in range(101))
"""Every coordinate lion-mini can write, in order: value = index / 100."""

_CHARACTERS = tuple(string.ascii_lowercase + string.digits + string.punctuation)
_WORD_SCORE, _CHARACTER_SCORE = -1.0, -10.0  # a whole word always beats its letters


def t5_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """Unigram tokenizer in T5's conventions: ``</s>`` at the end, ``<pad>`` 0, decodes to the lower-case text."""
    known = sorted({word.lower() for word in words if word != SOFT_TOKEN})
    # Behind an opening bracket a word has no blank before it ("[cat, dog]"), so words stand bare too.
    whole = dict.fromkeys([*(f"▁{word}" for word in known), *(word for word in known if word.isalpha())])
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(piece, _WORD_SCORE) for piece in (*whole, *COORDINATES)]
    single = [piece for piece in ("▁", *_CHARACTERS) if piece not in whole]
    pieces += [(piece, _CHARACTER_SCORE if piece.isalnum() else _WORD_SCORE) for piece in single]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens([SOFT_TOKEN])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=[SOFT_TOKEN],
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def bert_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """WordPiece tokenizer in BERT's conventions: lower case, ``[CLS]`` and ``[SEP]`` around, ``[PAD]`` 0."""
    lower = sorted({word.lower() for word in words if word != SOFT_TOKEN})
    numbers = [f"{number:0{width}d}" for width in (1, 2) for number in range(10**width)]
    characters = sorted(_CHARACTERS)
    continued = [f"##{character}" for character in characters if character.isalnum()]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = dict.fromkeys([*special, *lower, *numbers, *characters, *continued])
    ids = {piece: index for index, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=50))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, ids[name]) for name in ("[CLS]", "[SEP]")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )
