"""The tokenizers of the drawn world: every word a token, and no text lost."""

from lion.train.tokenizers import COORDINATES, bert_tokenizer, t5_tokenizer
from lion.world import vocabulary


def test_every_word_is_a_token_and_no_text_is_lost():
    words = vocabulary()
    t5, bert = t5_tokenizer(words), bert_tokenizer(words)
    for text in ("What color is the Cat?", "zebra's 42!", "[0.12,0.34,0.56,1.00]"):
        assert t5.decode(t5(text)["input_ids"], skip_special_tokens=True) == text.lower()
    assert len(t5("[0.12,0.34,0.56,1.00]")["input_ids"]) == 10
    for word in words:
        if not word.startswith("<"):
            assert t5.unk_token_id not in t5(word)["input_ids"] and bert.unk_token_id not in bert(word)["input_ids"]
    assert t5.convert_tokens_to_ids(list(COORDINATES))[-1] - t5.convert_tokens_to_ids(list(COORDINATES))[0] == 100
