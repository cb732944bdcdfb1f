"""Which things of a known vocabulary a text names. Shared by the scores for descriptions and captions."""

import re
from collections.abc import Mapping


def mentions(text: str, forms: Mapping[str, str]) -> list[str]:
    """The names in a text, in order, repeats kept.

    ``forms`` maps what may be written, in lower case, to the name it stands for: ``{"bus": "bus", "buses": "bus"}``.
    Whole words only, and the longest form wins (``traffic light`` before ``light``).
    """
    if not forms:
        return []
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"
    return [forms[found] for found in re.findall(pattern, text.lower())]
