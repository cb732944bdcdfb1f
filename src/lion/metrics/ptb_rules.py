"""The token rules of ptb_tokenizer.py: regular expressions and how each matched token is rewritten.

They state the behaviour of Stanford CoreNLP 3.4.1 and were compared with that release, run on captions and on generated
text; the lists of abbreviations were read off it, all words of two and three letters tried. A rule whose alternatives
could compete is written as several, since Python takes the first alternative that fits and not the longest.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import NamedTuple


class Rule(NamedTuple):
    """A token's pattern with its right context."""

    pattern: re.Pattern[str]
    """Matched against :func:`shadow`. Group 1 is the token, the rest is right context."""
    rewrite: Callable[[str], str] | None
    """Rewrites the token; None leaves it unchanged."""
    give_back: int
    """Number of characters at the token's end that are matched again as the next token."""


# ---- Characters. In the shadow of a text one character stands for its whole class, which keeps the patterns short.

_LETTER, _MARK, _DIGIT, _BLANK, _SYMBOL, _UNKNOWN = "\u00e9", "\u0301", "\u0660", "\u3000", "\u00a7", "\u0001"
_ARE_SYMBOLS = re.compile(
    "[\u00a6-\u00a9\u00ac\u00ae-\u00b1\u00b4\u00b6-\u00b8\u00d7\u00f7\u0387\u05be\u05c0\u05c3\u05c6\u05f3\u05f4"
    "\u0600-\u0603\u0606-\u060c\u0614\u061e\u066a\u066d\u0703-\u070d\u07f6-\u07f8\u0964\u0965\u0e4f\u1fbd"
    "\u2016\u2017\u2020-\u2023\u2030-\u2038\u203b\u203e-\u2042\u2100-\u214f\u2190-\u2bff"
    "\u3012\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
    # ends of sentences in other scripts, currencies that keep their sign, fractions that keep theirs
    "\u00a1\u00bf\u037e\u0589\u061b\u061f\u06d4\u0700-\u0702\u07fa\u3002\u00a5\u0e3f\u20a4\uffe0\uffe1\uffe5\uffe6"
    "\u2155-\u215e]"
)
_HAVE_RULES = frozenset(
    "\u00a0\u00ad\u0080\u0091\u0092\u0093\u0094\u0096\u0097\u00a2\u00a3\u00a4\u00ab\u00bb\u00b2\u00b3\u00b9\u00bc\u00bd"
    "\u00be\u058a\u066b\u066c\u2010\u2011\u2013\u2014\u2015\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2026\u2039"
    "\u203a\u2044\u2070\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b\u207c\u207d\u207e\u2080\u2081\u2082\u2083\u2084"
    "\u2085\u2086\u2087\u2088\u2089\u208a\u208b\u208c\u208d\u208e\u20a0\u20ac\u2153\u2154\u3001"
)


def shadow(text: str) -> str:
    """The text, same length, with each character beyond ASCII replaced by the representative of its class."""
    return text if text.isascii() else "".join(map(_stands_for, text))


@cache
def _stands_for(character: str) -> str:
    category, code = unicodedata.category(character), ord(character)
    if code < 0x80 or character in _HAVE_RULES:
        return character
    if code > 0xFFFF:  # the tokeniser knows the first plane only: emoji separate words and vanish
        return _UNKNOWN
    if category[0] == "L":
        return _LETTER
    if category == "Nd":
        return _DIGIT
    if 0x2C2 <= code <= 0xECD and category in ("Mn", "Mc", "Sk"):
        return _MARK
    if 0x2000 <= code <= 0x200A or code == 0x3000:
        return _BLANK
    return _SYMBOL if _ARE_SYMBOLS.match(character) else _UNKNOWN


# ---- Building blocks of patterns. (?i:...) ignores case; classes never do.

_C = "A-Za-z" + _LETTER  # a letter, for use in a class
_D = "[0-9" + _DIGIT + "]"
_SPACE_OR_END = f"[ \t\u00a0{_BLANK}\n]"
_L = f"(?:[{_C}{_MARK}\u00ad]|&[aeiouAEIOU](?i:acute|grave|uml);)"
_WORD = f"{_L}(?:{_L}|{_D})*(?:[.!?]{_L}(?:{_L}|{_D})*)*"
_APOS = "(?:['\u0092\u2019]|(?i:&apos;))"
_ANY_APOS = "(?:['`\u0091\u0092\u2018\u2019\u201b]|(?i:&apos;))"
_AMP = "(?:(?i:&amp;)|&)"
_HYPHEN = "[-_\u058a\u2010\u2011]"
_REDUCED = f"{_APOS}(?i:[msd]|re|ve|ll)"  # it's, I'm, we're
_NOT = f"(?i:n){_ANY_APOS}(?i:t)"
_ACRONYM = (
    r"(?:[A-Za-z](?:\.[A-Za-z])+|(?i:canada|sino|korean|eu|japan|non)-[Uu]\.[Ss]"
    r"|[Uu]\.[Ss]\.-(?:[Uu]\.[Kk]|[Uu]\.[Ss]\.[Ss]\.[Rr]))"
)
_THING = f"(?:[dDoOlL]{_ANY_APOS}[{_C}0-9{_DIGIT}])?[{_C}0-9{_DIGIT}]+"
_DASHED_THING = f"{_THING}(?:{_HYPHEN}{_THING})*"
_COMPOUND = f"[A-Za-z0-9][A-Za-z0-9.,\u00ad]*(?:-(?:{_ACRONYM}\\.|[A-Za-z0-9\u00ad]+))+"
_CAPITALS = f"[A-Z]+(?:(?:\\+|{_AMP})[A-Z]+)+"  # AT&T
_HOST = '[^ \t\n"<>|.!?(){},]'
_PATH = '/[^ \t\n"<>|()]+[^ \t\n"<>|.!?(){},-]'
_MAIL_PART = '[^ \t\n"<>|(){}.\u00a0]+'
_EMAIL = f'[a-zA-Z0-9][^ \t\n"<>|(){{}}\u00a0]*@(?:{_MAIL_PART}\\.)*{_MAIL_PART}'
_TAG_NAME = "[A-Za-z][A-Za-z0-9_:.-]*"
_TAGS = [
    "<[!?][A-Za-z-][^>\n]*>",
    f"<{_TAG_NAME}(?: +{_TAG_NAME}(?: *= *(?:'[^'\n]*'|\"[^\"\n]*\"))?)* */? *>",
    f"</{_TAG_NAME} *>",
]
_IN_SENTENCE = "[,;:\u3001]"

# Abbreviations that keep their full stop. Of some states only the capitalised form, the other being a common word.
_USUALLY_FOLLOWED_BY_A_NAME = (
    "mrs?|ms|(?-i:M)iss|drs?|profs?|sens?|reps?|attys?|lt|col|gen|messrs|govs?|adm|rev|maj|sgt|cpl|pvt|capt|ste?|"
    "ave|pres|lieut|hon|brig|co?mdr|pfc|spc|supts?|det|mt|ft|adj|adv|asst|assoc|ens|insp|mlle|mme|msgr|sfc|dept|invt|"
    "elec|natl|m(?-i:[ft])g|ph|vs|alex|wm|jos|cie|cf|treas"
)
_OTHER_ABBREVIATIONS = (
    "jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thu|thurs|fri|"
    "ala|ariz|(?-i:A)rk|(?-i:A)z|calif|colo|conn|ct|dak|(?-i:D)el|fla|ga|(?-i:I)ll|"
    "ind|kans?|ky|(?-i:L)a|(?-i:M)ass|md|mich|minn|(?-i:M)iss|mo|mont|neb|nev|okla|"
    "(?-i:O)re|(?-i:P)a|penn|tenn|(?-i:T)ex|va|vt|(?-i:W)ash|wisc?|wyo|"
    "inc|cos?|corp|pp?t(?-i:[ye])s?|ltd|plc|rt|bancorp|bhd|assn|univ|intl|sys|bldg|"
    "jr|sr|bros|blvd|rd|esq|sq|etc|al|seq|tel|est|ext|ed\\.d|ph\\.d"
)
_BEFORE_NUMBERS = "nos?|prop|figs?|art|bldg|pp|op|ca"
# A single letter before one of these ends a sentence: its full stop is a token of its own.
_SENTENCES_BEGIN_WITH = (
    "A(?i:bout|ccording|dditionally|fter|n|s|t)?|B(?i:ut)|E(?i:arlier)|H(?i:ere?|e|owever)|I[fFnNtT]|"
    "L(?i:ast)|M(?i:any|ore)|M(?i:[rs]\\.)|N(?i:ow)|O(?i:nce|ne|ther|ur)|S(?i:he|ince|o|ome|uch)|"
    "T(?i:hat|heir|hen|here|hese|hey|he|his)|W(?i:e|hen|hile|hat)|Y(?i:et|ou)"
)
_FILE_KINDS = (
    "bat|bmp|c|cgi|class|cpp|dll|docx?|exe|gif|gz|h|html?|jar|java|jpe?g|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|"
    "wav|x|xml|zip"
)

# ---- Rewriting of tokens.

# Entities are known in any case, but put into quotes in lower case only.
_LEFT_QUOTES = re.compile("[\u0091\u2018\u201b\u2039]")
_RIGHT_QUOTES = re.compile("&apos;|[\u0092\u2019\u203a]")
_LEFT_DOUBLE = re.compile("[\u0093\u201c\u00ab]")
_RIGHT_DOUBLE = re.compile('["\u0094\u201d\u00bb]|&quot;')
_FRACTIONS = {"\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
_MONEY = {"\u00a2": "cents", "\u00a3": "#", "\u0080": "$", "\u00a4": "$", "\u20a0": "$", "\u20ac": "$"}
_BRACKETS = {"(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-"}
_BRACKETS |= {"&lt;": "<", "&gt;": ">"}


def _quotes(token: str) -> str:
    token = _RIGHT_DOUBLE.sub("''", _RIGHT_QUOTES.sub("'", token))
    return _LEFT_DOUBLE.sub("``", _LEFT_QUOTES.sub("`", token))


def _no_soft_hyphen(token: str) -> str:
    return token.replace("\u00ad", "") or "-"


def _ampersand(token: str) -> str:
    return re.sub("(?i)&amp;", "&", token)


def _no_break(token: str) -> str:
    return token.replace(" ", "\u00a0")


def _parentheses(token: str) -> str:
    return _no_break(token).replace("(", "-LRB-").replace(")", "-RRB-")


def _dashes(token: str) -> str:
    return "--" if not token.startswith("-") or len(token) in (3, 4) else token


# ---- The table: a token's pattern, its right context, how it is rewritten, how many characters are given back.

_WWW = f"(?i:www)\\.(?:{_HOST}+\\.)+[a-zA-Z]{{2,4}}"
# the second class leaves out all from the comma to the low line, so digits and capitals too
_SITE = "(?:[^ \t\n\"`'<>|.!?(){},-_$]+\\.)+(?i:com|net|org|edu)"
_NUMBER = f"[-+]?(?:{_D}*(?:[.:,\u00ad\u066b\u066c]{_D}+)+|{_D}+)"
_PIECE = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
_GAP = "[- \u00a0]"
_PHONES = [
    f"\\([0-9]{{2,3}}\\)[ \u00a0]?[0-9]{{3,4}}{_GAP}?[0-9]{{3,5}}",
    f"(?:\\+\\+?)?(?:[0-9]{{2,4}}{_GAP})?[0-9]{{2,4}}{_GAP}[0-9]{{3,4}}{_GAP}?[0-9]{{3,5}}",
    "(?:(?:\\+\\+?)?[0-9]{2,4}\\.)?[0-9]{2,4}\\.[0-9]{3,4}\\.[0-9]{3,5}",
]
_FACES = ["[-^x=~<>']_[-^x=~<>']", "\\([-^x=~<>'][_.]?[-^x=~<>']\\)", "\\([\\^x=~<>']-[\\^x=~<>'`]\\)"]
_TABLE: list[tuple[str, str, Callable[[str], str] | None, int]] = [
    # Words.
    ("(?i:cannot)", "", None, 3),
    ("(?i:gonna|gotta|lemme|gimme|wanna)", "", None, 2),
    ("'(?i:tis)", "", None, 2),
    ("'(?i:twas)", "", None, 3),
    *[(pattern, "", _no_break, 0) for pattern in _TAGS],
    ("(?i:&(?:md|mdash|ndash);)|[\u0096\u0097\u2013\u2014\u2015]", "", _dashes, 0),
    ("(?i:&amp;)", "", _ampersand, 0),
    ("(?i:&(?:ht|tl|ur|lr|qc|ql|qr|odq|cdq);)|&#[0-9]+;", "", None, 0),
    (_WORD, _REDUCED, _no_soft_hyphen, 0),
    ("[A-Za-z\u00ad]*[A-MO-Za-mo-z]\u00ad*", _NOT, _no_soft_hyphen, 0),
    (_WORD, "", _no_soft_hyphen, 0),
    # Words that keep an apostrophe.
    (f"{_APOS}(?i:n){_APOS}?", "", None, 0),
    (f"[lLdDjJ]{_APOS}", "", None, 0),
    (f"(?i:dunkin|somethin|ol){_APOS}", "", None, 0),
    (f"{_APOS}(?i:em|till?|cause)", "", None, 0),
    (f"[A-HJ-XZn]{_ANY_APOS}[{_C}]{{2}}[{_C}]*", "", None, 0),
    (f"{_APOS}[2-9]0[sS]", "", None, 0),
    (f"[{_C}]+[aeiouyAEIOUY]{_ANY_APOS}[aeiouA-Z][{_C}]*", "", None, 0),
    ("(?i:cont'd\\.?|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l)", "", None, 0),
    (f"[yY]{_APOS}", f"[{_C}]", None, 0),
    # Addresses and other tokens that begin with a mark.
    ('(?i:https?)://[^ \t\n"<>|(){}]+[^ \t\n"<>|.!?(){},-]', "", None, 0),
    *[(pattern, "", None, 0) for pattern in (_WWW, _WWW + _PATH, _SITE, _SITE + _PATH)],
    (f"(?:<|(?i:&lt;))?{_EMAIL}(?:>|(?i:&gt;))?", "", None, 0),
    ("@[a-zA-Z_][a-zA-Z_0-9]*", "", None, 0),
    (f"#{_L}+", "", None, 0),
    (_REDUCED, "[^A-Za-z]", _quotes, 0),
    (_NOT, "", _quotes, 0),
    # Numbers.
    (f"{_D}{{1,2}}[-/]{_D}{{1,2}}[-/]{_D}{{2,4}}", "", None, 0),
    (_NUMBER, "", _no_soft_hyphen, 0),
    ("[\u207a\u207b\u208a\u208b]?(?:[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+|[\u2080-\u2089]+)", "", None, 0),
    (f"(?:{_D}{{1,4}}[- \u00a0])?{_D}{{1,4}}(?:\\\\?/|\u2044){_D}{{1,4}}", "", _no_break, 0),
    ("[\u00bc\u00bd\u00be\u2153\u2154]", "", _FRACTIONS.__getitem__, 0),
    ("(?i:-[lr][rcs]b-|c\\.d\\.s|pro-|anti-|c\\+\\+|[cf]#)", "", None, 0),
    (f"(?i:s{_AMP}p-500|s{_AMP}ls)", "", _ampersand, 0),
    (f"(?i:cap{_APOS}n|c{_APOS}est)", "", None, 0),
    (f"{_PIECE}(?:\\\\?/{_PIECE}){{1,2}}", "", None, 0),
    ("[A-Z]*\\$|#", "", None, 0),
    ("[\u00a2\u00a3\u00a4\u0080\u20a0\u20ac]", "", _MONEY.__getitem__, 0),
    # Abbreviations.
    (f"(?i:{_BEFORE_NUMBERS})\\.", f"{_SPACE_OR_END}?{_D}", None, 0),
    # two characters of any kind behind it, so that it wins against longer words: "etc.x" is "etc. x"
    (f"(?i:{_OTHER_ABBREVIATIONS})\\.", "(?s:..)", None, 0),
    (f"(?i:{_USUALLY_FOLLOWED_BY_A_NAME})\\.", "", None, 0),
    (f"(?i:{_OTHER_ABBREVIATIONS})\\.", "", None, 0),
    ("[A-Za-z]\\.", f"{_SPACE_OR_END}+(?:{_SENTENCES_BEGIN_WITH}){_SPACE_OR_END}", None, 1),
    *[("[A-Za-z]\\.", f"{_SPACE_OR_END}+{tag}{_SPACE_OR_END}", None, 1) for tag in _TAGS],
    ("[A-Za-z]\\.", "", None, 0),
    (f"{_ACRONYM}\\.", "", None, 0),
    (_ACRONYM, _SPACE_OR_END, None, 0),
    (f"{_APOS}[0-9][0-9]", _SPACE_OR_END, None, 0),
    (f"{_WORD}\\.", _IN_SENTENCE, _no_soft_hyphen, 0),
    # Marks.
    (f"(?:{_L}|{_D})+(?:\\.(?:{_L}|{_D})+)*\\.(?i:{_FILE_KINDS})", f"(?:{_SPACE_OR_END}|[.?!,])", None, 0),
    *[(pattern, "", _parentheses, 0) for pattern in _PHONES],
    ('"|(?i:&quot;)', "", _quotes, 0),
    ("[()\\[\\]{}]|(?i:&lt;|&gt;)", "", lambda token: _BRACKETS[token.lower()], 0),
    ("[<>]?[:;=][-o*']?[()DPdpO\\\\{@|\\[\\]]", "[^A-Za-z0-9]", _parentheses, 0),
    *[(pattern, "", _parentheses, 0) for pattern in _FACES],
    ("-+", "", _dashes, 0),
    ("\\.{3,5}|(?:\\.[ \u00a0]){2,4}\\.|\u2026", "", lambda token: "...", 0),
    ("@+|#+|_+|\\*+|(?:\\\\\\*){1,3}|[?!]+", "", None, 0),
    ("[,;:\u3001.=/]", "", None, 0),
    (f"{_COMPOUND}\\.", _IN_SENTENCE, _no_soft_hyphen, 0),
    (_COMPOUND, "", _no_soft_hyphen, 0),
    (f"{_DASHED_THING}\\.", _IN_SENTENCE, None, 0),
    (_DASHED_THING, "", None, 0),
    (f"{_CAPITALS}\\.", _IN_SENTENCE, _ampersand, 0),
    (_CAPITALS, "", _ampersand, 0),
    ("'", "[A-Za-z][^ \t\n\u00a0]", _quotes, 0),
    (_REDUCED, "", _quotes, 0),
    (f"''|{_APOS}", "", _quotes, 0),
    ("[`\u2018\u2019\u201a-\u201f\u0091-\u0094\u2039\u203a\u00ab\u00bb]{1,2}", "", _quotes, 0),
    ("<<|>>|<|>", "", None, 0),
    ("(?i:&nbsp;)", "", lambda token: "", 0),
    (f"[+%&~^|\\\\{_SYMBOL}\u207a-\u207e\u208a-\u208e\u2044]", "", None, 0),
]


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in order of precedence among matches of equal length."""
    return tuple(Rule(re.compile(f"({token}){context}"), rewrite, back) for token, context, rewrite, back in _TABLE)
