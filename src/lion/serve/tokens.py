"""Generated tokens as OpenAI's clients read them: text as it comes, and each token with its bytes and likelihoods."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from lion.engine import Output
from lion.pipeline.confidence import token_texts


def decoded(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> str:
    """The text of ids, without the end token and the like."""
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def logprobs(output: Output, tokenizer: PreTrainedTokenizerBase, start: int = 0) -> dict[str, Any]:
    """OpenAI's ``logprobs`` of an answer, from a token on; the end token is left out, as it is no text."""
    ids, rows = output.ids, []
    for place, text in enumerate(token_texts(ids, tokenizer)):
        if place < start or ids[place] in tokenizer.all_special_ids:
            continue
        before, likeliest = ids[:place], output.top[place] if output.top else ()
        others = [_entry(_added(before, token, tokenizer), value) for token, value in likeliest]
        rows.append({**_entry(text, output.logprobs[place]), "top_logprobs": others})
    return {"content": rows, "refusal": None}


def _entry(text: str, value: float) -> dict[str, Any]:
    return {"token": text, "logprob": max(value, -9999.0), "bytes": list(text.encode())}


def _added(before: Sequence[int], token: int, tokenizer: PreTrainedTokenizerBase) -> str:
    """What a token would add after others; a special one is named."""
    if token in tokenizer.all_special_ids:
        return str(tokenizer.convert_ids_to_tokens(token))
    return decoded([*before, token], tokenizer).removeprefix(decoded(before, tokenizer))
