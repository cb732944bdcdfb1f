"""How the VQA evaluators normalise an answer, their mistakes included (VQA API, ``vqaEval.py``; LAVIS copied it).

The steps keep their names. The effect is reproduced, not the intention:

* whether a mark vanishes or becomes a blank is decided by the whole text: it vanishes if it touches a blank anywhere,
  and every mark vanishes if there is a comma between two digits anywhere ("1,000-ton" -> "1000ton");
* a full stop goes unless a digit follows, at most 32 of them, since a flag was passed in the place of a count;
* "none" is the number 0.
"""

import re

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_BETWEEN_DIGITS = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_MOST_PERIODS = 32
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(_WORDS)}
_ARTICLES = {"a", "an", "the"}

# Corrected contractions, each from its spellings that lack one apostrophe. The evaluators' list lacks the same ones
# ("its", "lets", "thatll"); "Im" and the like are capitals there, which a lower-cased word never equals.
_CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
_CORRECTED = {
    word[: mark.start()] + word[mark.end() :]: word for word in _CONTRACTIONS.split() for mark in re.finditer("'", word)
}
_CORRECTED["somebody'd"] = "somebodyd"  # the wrong way round in their list, too


def clean(text: str) -> str:
    """Line breaks and tabs become blanks; none at either end."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def process_punctuation(text: str) -> str:
    """Marks deleted or turned into blanks, full stops deleted, by the rules above."""
    all_vanish = _COMMA_BETWEEN_DIGITS.search(text) is not None
    out = text
    for mark in _MARKS:
        vanishes = all_vanish or mark + " " in text or " " + mark in text
        out = out.replace(mark, "" if vanishes else " ")
    return _PERIOD.sub("", out, count=_MOST_PERIODS)


def process_digit_article(text: str) -> str:
    """Lower case, number words to digits, articles dropped, contractions corrected, single blanks."""
    words = [_NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(_CORRECTED.get(word, word) for word in words if word not in _ARTICLES)


def normalise(text: str) -> str:
    """All three steps, as the evaluators apply them to a prediction."""
    return process_digit_article(process_punctuation(clean(text)))
