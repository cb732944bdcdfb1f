"""Which option does a free text name? Two rules: a strict one of our own, and VLMEvalKit's without its language model.

They may differ, so a score says which it used. What names no option, or several, is None, and wrong. Options have the
letters A, B, C, ... in their order.
"""

import re
from collections.abc import Sequence
from string import ascii_uppercase

_LETTER = re.compile(r"\(?([A-Z])(?:\)|\)?[.:])?")  # the whole answer: A, A., A:, A), (A), (A).
_LETTER_FIRST = re.compile(r"(?:\(([A-Z])\)|([A-Z])[.):])[.:]?\s")  # "C. stone bridge", "(C) stone bridge"
_ANNOUNCED = re.compile(
    r"\b(?i:the answer is|the correct answer is|answer:)\s*\(?([A-Z])\)?(?=[.,:;!?\s]|$)"
    r"(?!\s*(?:or|and|,|/|&)\s*\(?[A-Z]\b)"  # "A or B" announces none
)

_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_FAILED_CALL = "Failed to obtain answer via API"
_TO_BLANKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_ANSWER_IS = re.compile(r"answer\s+is\s+\**([ABCD])", re.IGNORECASE)
_FROM_THE_END = 5


def strict_choice(answer: str, options: Sequence[str]) -> str | None:
    """The letter of the option that an answer names, or None.

    Named by letter: the whole answer is a letter, perhaps in round brackets or with a mark (``A``, ``A.``, ``(A)``);
    or begins with such a letter and goes on after a blank (``A. red kite``); or announces one (``Answer: A``, ``The
    answer is A``), and one only. Letters count in capitals, and one that no option has is None. Without a letter, named
    by text: the whole answer is an option, but for case and a full stop; or exactly one option stands in it as words.
    """
    text = answer.strip()
    if letters := _named_letters(text):
        only = letters.pop()
        return only if not letters and only in ascii_uppercase[: len(options)] else None
    said = text.lower().removesuffix(".")
    wanted = [option.strip().lower().removesuffix(".") for option in options]
    same = [letter for letter, option in zip(ascii_uppercase, wanted, strict=False) if option == said]
    named = [
        letter
        for letter, option in zip(ascii_uppercase, wanted, strict=False)
        if option and re.search(rf"(?<!\w){re.escape(option)}(?!\w)", said)
    ]
    found = same or named
    return found[0] if len(found) == 1 else None


def _named_letters(text: str) -> set[str]:
    if whole := _LETTER.fullmatch(text):
        return {whole[1]}
    if first := _LETTER_FIRST.match(text):
        return {first[1] or first[2]}
    return set(_ANNOUNCED.findall(text))


def vlmevalkit_choice(answer: str, options: Sequence[str]) -> str | None:
    """The letter by VLMEvalKit's ``can_infer`` (``docs/metrics.md`` says which revision), "Z" for a refusal, or None.

    First by letter: with the marks ``.()[],:;!*#{}`` as blanks, exactly one option's letter stands alone, and among the
    last five words. Else by "answer is" and a letter from A to D of any case, whatever follows it, so that "the answer
    is a dog" is read as A. Else by text: exactly one option's text stands in the answer, as letters, not words, unless
    the answer is more than twice as long as all options together. The article "A" near the end is read as option A.
    """
    letters = ascii_uppercase[: len(options)]
    return _by_letter(answer, letters) or _by_text(answer, options)


def _by_letter(answer: str, letters: str) -> str | None:
    if _FAILED_CALL in answer:
        return None
    if any(refusal in answer for refusal in _REFUSALS):
        return "Z"
    words = answer.translate(_TO_BLANKS).split()
    alone = [letter for letter in letters if letter in words]
    if len(alone) == 1 and words.index(alone[0]) > len(words) - _FROM_THE_END:
        return alone[0]
    if not alone and "Z" in words:
        return "Z"
    announced = _ANSWER_IS.search(answer)
    letter = announced[1].upper() if announced else ""
    return letter if letter and letter in letters else None


def _by_text(answer: str, options: Sequence[str]) -> str | None:
    if len(answer.lower()) > 2 * sum(map(len, options)):
        return None
    found = [
        letter for letter, option in zip(ascii_uppercase, options, strict=False) if option.lower() in answer.lower()
    ]
    return found[0] if len(found) == 1 else None
