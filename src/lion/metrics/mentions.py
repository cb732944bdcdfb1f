"""Names of a known vocabulary that occur in a text; used by the REG and caption metrics."""

import re
from collections.abc import Mapping


def mentions(text: str, forms: Mapping[str, str]) -> list[str]:
    """The names in a text, in order, with repeats.

    ``forms`` maps lower-case surface forms to names: ``{"bus": "bus", "buses": "bus"}``. Only whole words match, and
    the longest form wins (``traffic light`` before ``light``).
    """
    if not forms:
        return []
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"
    return [forms[found] for found in re.findall(pattern, text.lower())]
