"""Words that a tokenizer has no pieces for: a frozen language model hardly learns them (docs/how-to/finetuning.md)."""

import re
from collections import Counter
from collections.abc import Iterable

from transformers import PreTrainedTokenizerBase

_WORD = re.compile(r"[^\W\d_]+")


def spelt_words(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Words in `texts` that become letters, with fewer than two of them to a piece, or unknown; most frequent first.

    A vocabulary learnt from text has longer pieces also for rare words.
    """
    counts = Counter(word for text in texts for word in _WORD.findall(text))
    return [word for word, _ in counts.most_common() if _is_spelt(word, tokenizer)]


def _is_spelt(word: str, tokenizer: PreTrainedTokenizerBase) -> bool:
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    pieces = len(ids) - ("▁" in tokenizer.convert_ids_to_tokens(ids))  # the blank before it
    return tokenizer.unk_token_id in ids or (pieces > 1 and len(word) < 2 * pieces)
