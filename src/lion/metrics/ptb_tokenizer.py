r"""Captions into words, as the official COCO caption evaluation does it, without Java.

That evaluation pipes all captions, one a line, through Stanford CoreNLP 3.4.1 (``PTBTokenizer -preserveLines
-lowerCase``) and drops punctuation tokens. CoreNLP's tokeniser is a lexer: where it stands, every rule is tried, the
longest match wins (context to the right counts towards the length), and of equals the first rule. So does this one.
Its rules are stated here anew from the behaviour of that release, its oddities included, for scores depend on them:

* brackets stay, as ``-lrb-`` and the like: the official list of punctuation has them in upper case;
* of runs of marks only those in the list go: ``?!``, ``!!`` and a fourth hyphen's ``-----`` stay;
* a full stop or mark between letters joins them (``street.A`` is one word), as do slashes and single hyphens;
* a period stays with abbreviations, initials and acronyms even at the end of a sentence (``Main st.``);
* characters without a rule (emoji outside the basic plane, the rupee sign) vanish and divide words;
* blanks inside fractions, telephone numbers and tags become no-break spaces (``2 1/2``);
* an initial at the end of a line keeps its period or not by how the next line begins, so order can matter.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
"""What the official evaluation drops, by its own list. Tokens are in lower case by then, so brackets never match."""


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    """Group 1 is the token; whatever follows it in the match is context and is read again."""
    write: Callable[[str], str]


_LINE_ENDS = re.compile("[\n\r\x0b\x0c\u2028\u2029]")
_SPLIT_WORDS = "cannot|dunno|gonna|gotta|gimme|lemme|wanna|nno"


def tokenize(captions: Iterable[str]) -> list[str]:
    """Each caption in lower case, its tokens divided by single blanks, punctuation dropped.

    As officially, line ends inside a caption count as blanks and all captions are read as lines of one text.
    """
    lines = [_LINE_ENDS.sub(" ", caption) for caption in captions]
    text = "\n".join([*lines, ""])
    done: list[str] = []
    line: list[str] = []
    at = 0
    while at < len(text):
        if plain := _PLAIN.match(text, at):
            token, at = plain.group(), plain.end()
        elif text[at] == "\n":
            done.append(" ".join(line))
            line, at, token = [], at + 1, ""
        elif text[at] == " ":
            at, token = at + 1, ""
        else:
            token, at = _longest(text, at)
        token = token.lower()
        if token and token not in PUNCTUATION:
            line.append(token)
    return done


def _longest(text: str, at: int) -> tuple[str, int]:
    """The token that starts at a place, and where the next may start. No token where no rule matches."""
    token, after, end = "", at + 1, at
    for rule in _rules():
        match = rule.pattern.match(text, at)
        if match and match.end() > end:
            token, after, end = rule.write(match.group(1)), match.end(1), match.end()
    return token, after


# How a token is written, where not as it is.

_LATEX_QUOTES = str.maketrans(
    {
        **dict.fromkeys("\x91\u2018\u201b\u2039", "`"),
        **dict.fromkeys("\x92\u2019\u203a", "'"),
        **dict.fromkeys("\x93\u201c\xab", "``"),
        **dict.fromkeys('\x94\u201d\xbb"', "''"),
    }
)
_FRACTIONS = {"\xbc": "1/4", "\xbd": "1/2", "\xbe": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
_CURRENCIES = {"\xa2": "cents", "\xa3": "#", **dict.fromkeys("\x80\xa4\u20a0\u20ac", "$")}
_BRACKETS = {"(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-"}


def _as_is(token: str) -> str:
    return token


def _quotes(token: str) -> str:
    """Quotation marks as in LaTeX. Straight ones are written as closing: opening or closing, they are dropped."""
    return re.sub("(?i:&quot;)", "''", re.sub("(?i:&apos;)", "'", token)).translate(_LATEX_QUOTES)


def _soft(token: str) -> str:
    """Without soft hyphens, which are there for line breaks."""
    return token.replace("\xad", "") or "-"


def _no_break(token: str) -> str:
    return token.replace(" ", "\xa0")


def _parentheses(token: str) -> str:
    return _no_break(token).replace("(", "-LRB-").replace(")", "-RRB-")


def _ampersand(token: str) -> str:
    return re.sub("(?i:&amp;)", "&", token)


def _dashes(token: str) -> str:
    return "--" if 3 <= len(token) <= 4 else token


# The parts that rules are made of. (?i:...) because the lexer ignores case in words but not in character classes.

_SPACE = r"[ \t\xa0\u2000-\u200a\u3000]"
_SPACE_OR_LINE_END = r"[ \t\xa0\u2000-\u200a\u3000\n]"
_APOSTROPHE = "(?:['\x92\u2019]|(?i:&apos;))"
_ANY_APOSTROPHE = "(?:['\x92\u2019`\x91\u2018\u201b]|(?i:&apos;))"
_HYPHEN = r"[-_\u058a\u2010\u2011]"
_INSIDE = r"[,;:\u3001]"
_NUMBER = r"(?:\d*(?:[.:,\xad\u066b\u066c]\d+)+|\d+)"
_ALNUM = "[A-Za-z0-9]"
_ACRONYM = r"[A-Za-z](?:\.[A-Za-z])+"

# Before a period these are abbreviations. A capital in brackets must be one: as a word it would be too common.
_MONTHS_AND_DAYS = "(?i:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thu(?:rs)?|Fri)"
_STATES = (
    "(?i:Ala|Ariz|Calif|Colo|Conn|Ct|Dak|Fla|Ga|Ind|Kans?|Ky|Md|Mich|Minn|Mo|Mont|Neb|Nev|Okla|Penn|Tenn|Va|Vt|Wisc?|Wyo)"
    "|A(?i:rk|z)|D(?i:el)|I(?i:ll)|L(?i:a)|M(?i:ass|iss)|O(?i:re)|P(?i:a)|T(?i:ex)|W(?i:ash)"
)
_TITLES = (
    "(?i:Mrs?|Ms|Drs?|Profs?|Sens?|Reps?|Attys?|Lt|Lieut|Col|Gen|Messrs|Govs?|Adm|Rev|Maj|Sgt|Cpl|Pvt|Pfc|Spc|Capt|Ste?|"
    r"Ave|Pres|Rt|Hon|Brig|Co?mdr|Supts?|Det|Mt|Ft|Jr|Sr|Bros|Esq|(?:Ed|Ph)\.D)"
)
_COMPANIES = (
    "(?i:Inc|Cos?|Corp|Pp?t[ye]s?|Ltd|Plc|Bancorp|Bhd|Assn|Univ|Intl|Sys|Invt|Elec|Natl|M[ft]g|Dept|Blvd|Rd|Cie)"
)
_OTHERS = r"(?i:tel|est|ext|sq|etc|al|seq|Bldg|vs|Alex|Wm|Jos|a\.k\.a|cf|TREAS|Ph)|[v]"
_ABBREVIATION = f"(?:{_MONTHS_AND_DAYS}|{_STATES}|{_TITLES}|{_COMPANIES}|{_OTHERS})"
_BEFORE_NUMBERS = "(?i:ca|figs?|prop|nos?|sect?s?|arts?|paras?|bldg|pp|op|approx|rs)|P(?i:t)"
_SENTENCE_STARTS = (
    "About|According|Additionally|After|An?|As|At|But|Did|During|Earlier|He|Here?|Her|How|However|If|In|It|Last|Many|More|"
    r"Mr\.|Ms\.|Now|Once|One|Other|Our|She|Since|So|Some|Such|That|The|Their|Then|There|These|They|This|We|When|While|"
    "What|Who|Why|Yet|You"
)

_PLAIN = re.compile(
    rf"(?!(?i:{_SPLIT_WORDS})[^A-Za-z])(?!(?:{_ABBREVIATION}|{_BEFORE_NUMBERS}|(?i:so)|[A-Za-z])\.)"
    r"(?:[A-Za-z]+(?=(?:[.,]|'s)?[ \n])|(?:[.,]|'s)(?=[ \n]))"
)
"""Nearly all of every caption: ordinary words, full stops, commas and 's where a blank follows. No rule finds anything
else there (a test compares), so the trial of all is saved."""

_NOT_URL = r' \t\n"<>|()'
_URL = rf"(?i:ftp|svn|svn\+ssh|https?|mailto)://[^{_NOT_URL}{{}}\[\]]+[^{_NOT_URL}{{}}\[\]'.!?,;:&-]"
_LIKELY_URL = (
    rf"(?:(?i:www)\.(?:[^{_NOT_URL}.!?{{}},]+\.)+[a-zA-Z]{{2,4}}"
    rf"|(?:[^{_NOT_URL}`'!?{{}}$,-_]+\.)+(?i:com|net|org|edu))"
    rf"(?:/[^{_NOT_URL}]+[^{_NOT_URL}.!?{{}},-])?"
)
_NOT_EMAIL = r' \t\n\xa0"<>|(){}'
_EMAIL = rf"{_ALNUM}[^{_NOT_EMAIL}]*@(?:[^{_NOT_EMAIL}.]+\.)*[^{_NOT_EMAIL}.,;:\[\]]+"
_TAG_NAME = r"[A-Za-z][A-Za-z0-9_:.-]*"
_TAG = (
    rf"<(?:[!?][A-Za-z-][^>\n]*|/{_TAG_NAME}|{_TAG_NAME}"
    rf"""(?: +{_TAG_NAME}(?: *= *(?:'[^'\n]*'|"[^"\n]*"|{_TAG_NAME}))?)* */?) *>"""
)
_FILE_EXTENSION = (
    "(?i:3gp|avi|bat|bmp|bz2|class|cgi|cpp|c|dll|docx?|exe|flv|gif|gz|html?|h|jar|java|jpe?g|mov|mp[34g]|pdf|php|pl|png|"
    "ppt|ps|py|sql|tar|txt|wav|wm[va]|xml|x|zip)"
)
_TELEPHONE = (
    r"(?:(?:\([0-9]{2,3}\)[ \xa0]?|(?:\+\+?)?(?:[0-9]{2,4}[- \xa0])?[0-9]{2,4}[- \xa0])[0-9]{3,4}[- \xa0]?[0-9]{3,5}"
    r"|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5})"
)
_SYMBOLS = (
    r"+%&~^|\\\xa6-\xa9\xac\xae-\xba\xd7\xf7\u2016\u2017\u2020-\u2023\u2030-\u2038\u203b\u203e-\u2044\u207a-\u207f"
    r"\u208a-\u208e\u2100-\u214f\u2190-\u2bff\u3012\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)


def _characters(belongs: Callable[[str], bool]) -> str:
    """The characters of the basic plane with a property, as the inside of a character class."""
    codes = [code for code in range(0x10000) if belongs(chr(code))]
    starts = [code for before, code in zip([-2, *codes], codes, strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if after != code + 1]
    return "".join(f"\\u{start:04x}-\\u{end:04x}" for start, end in zip(starts, ends, strict=True))


def _in_words(character: str) -> bool:
    """Letters, soft hyphens, and the separate accents and marks of scripts below U+0F00."""
    mark = character < "\u0f00" and unicodedata.category(character) in ("Mn", "Mc", "Lm", "Sk")
    return character.isalpha() or character == "\xad" or (mark and character >= "\u02c2")


@cache
def _rules() -> tuple[_Rule, ...]:
    """All rules, in the lexer's order."""
    letters = _characters(str.isalpha)
    letter = f"[{letters}]"
    alnum = rf"[{letters}\d]"
    in_word = rf"(?:[{_characters(_in_words)}]|(?i:&[aeiou](?:acute|grave|uml);))"
    word = rf"{in_word}(?:{in_word}|\d)*(?:[.!?]{in_word}(?:{in_word}|\d)*)*"
    rules: list[tuple[str, str, Callable[[str], str]]] = [
        *_words(word, letter),
        *_names_and_numbers(word),
        *_abbreviations(word),
        *_marks(letter),
        *_compounds(alnum),
        *_last_resorts(),
    ]
    return tuple(_Rule(re.compile(f"({token}){context}"), write) for token, context, write in rules)


_Rules = list[tuple[str, str, Callable[[str], str]]]
"""(token, context to its right, how it is written)"""


def _words(word: str, letter: str) -> _Rules:
    ending = rf"{_APOSTROPHE}(?:[msdMSD]|(?i:re|ve|ll))"
    negation = f"(?i:n){_ANY_APOSTROPHE}(?i:t)"
    with_apostrophe = "|".join(
        [
            f"{_APOSTROPHE}(?i:n){_APOSTROPHE}?",
            f"[lLdDjJ]{_APOSTROPHE}",
            f"(?i:dunkin|somethin|ol){_APOSTROPHE}",
            f"{_APOSTROPHE}(?i:em|till?|cause)",
            f"{_APOSTROPHE}[2-9]0(?i:s)",
            r"(?i:cont'd\.?|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l)",
        ]
    )
    return [
        (r"(?i:c\+\+|[CcFf]#)", "", _as_is),
        ("(?i:can)", "(?i:not)", _as_is),
        ("(?i:'t)", "(?i:was)", _as_is),
        ("(?i:du)", "(?i:nno)", _as_is),
        (f"{_APOSTROPHE}(?i:t)", "(?i:is)", _as_is),
        ("(?i:gon|wan)", "(?i:na)", _as_is),
        ("(?i:got)", "(?i:ta)", _as_is),
        ("(?i:gim|lem)", "(?i:me)", _as_is),
        ("(?i:n)", "(?i:no)", _as_is),
        (_TAG, "", _no_break),
        ("(?i:&(?:MD|mdash|ndash);)|[\x96\x97\u2013-\u2015]", "", lambda token: "--"),
        ("(?i:&amp;)", "", _ampersand),
        ("(?i:&(?:HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);)", "", _as_is),
        (word, ending, _soft),
        ("[A-Za-z\xad]*[A-MO-Za-mo-z]\xad*", negation, _soft),
        (word, "", _soft),
        (with_apostrophe, "", _quotes),
        (f"[A-HJ-XZn]{_ANY_APOSTROPHE}{letter}{{2,}}", "", _quotes),
        (f"{letter}+[aeiouyAEIOUY]{_ANY_APOSTROPHE}[aeiouA-Z]{letter}*", "", _quotes),
        (f"(?i:y){_APOSTROPHE}", letter, _as_is),
        (ending, "[^A-Za-z]", _quotes),
        (negation, "[^A-Za-z]", _quotes),
    ]


def _names_and_numbers(word: str) -> _Rules:
    part = f"{_ALNUM}+(?:-[A-Za-z]+){{0,2}}"
    return [
        (_URL, "", _as_is),
        (_LIKELY_URL, "", _as_is),
        (_EMAIL, "", _as_is),
        (f"@[a-zA-Z_][a-zA-Z_0-9]*|#{word}", "", _as_is),
        (r"\d{1,2}[-/]\d{1,2}[-/]\d{2,4}", "", _as_is),
        (f"[-+]?{_NUMBER}", "", _soft),
        ("[\u207a\u207b\u208a\u208b]?(?:[\u2070\xb9\xb2\xb3\u2074-\u2079]+|[\u2080-\u2089]+)", "", _as_is),
        (r"(?:\d{1,4}[- \xa0])?\d{1,4}(?:\\?/|\u2044)\d{1,4}", "", _no_break),
        ("[\xbc\xbd\xbe\u2153-\u215e]", "", lambda token: _FRACTIONS.get(token, token)),
        (rf"(?i:-[LR][RCS]B-|C\.D\.s|pro-|anti-|S(?:&|&amp;)P-500|S(?:&|&amp;)Ls|Cap{_APOSTROPHE}n)", "", _ampersand),
        (f"(?i:c{_APOSTROPHE}est)", "", _as_is),
        ("(?i:E|Yahoo|Jeopardy)!", "", _as_is),
        ("(?i:OK)!", f"{_SPACE_OR_LINE_END}(?i:magazine)", _as_is),
        (rf"{part}(?:\\?/{part}){{1,2}}", "", _as_is),
        (r"[A-Z]*\$|#", "", _as_is),
        (
            "[\x80\xa2-\xa5\u20a0\u20a4\u20ac\u060b\u0e3f\uffe0\uffe1\uffe5\uffe6]",
            "",
            lambda token: _CURRENCIES.get(token, token),
        ),
        (rf"{_ALNUM}+(?:[-._/]{_ALNUM}+)*\.{_FILE_EXTENSION}", rf"""(?:{_SPACE_OR_LINE_END}|[.?!,"'<])""", _as_is),
        (_TELEPHONE, "", _parentheses),
    ]


def _abbreviations(word: str) -> _Rules:
    return [
        ("[A-Za-z]", rf"\.{_SPACE_OR_LINE_END}+(?:{_SENTENCE_STARTS})(?:{_SPACE_OR_LINE_END}|[?!])", _as_is),
        (rf"(?:{_BEFORE_NUMBERS})\.", rf"{_SPACE_OR_LINE_END}?\d", _as_is),
        (r"(?i:so|no)\.", f"{_SPACE_OR_LINE_END}+(?i:Africa|Korea|Cal)", _as_is),
        (rf"{_ABBREVIATION}\.", "", _as_is),
        (rf"(?:{_ACRONYM}|[A-Za-z])\.", "", _as_is),
        (rf"{_APOSTROPHE}[0-9][0-9]", _SPACE_OR_LINE_END, _as_is),
        (rf"{word}\.", _INSIDE, _soft),
    ]


def _marks(letter: str) -> _Rules:
    return [
        ('(?:"|(?i:&quot;))', "", _quotes),
        ("<|(?i:&lt;)", "", lambda token: "<"),
        (">|(?i:&gt;)", "", lambda token: ">"),
        (r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]", "[^A-Za-z]", _parentheses),
        (r"[-^x=~<>']_[-^x=~<>']|\([-^x=~<>'][_.]?[-^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\)", "", _parentheses),
        (r"[()\[\]{}]", "", lambda token: _BRACKETS[token]),
        ("-+", "", _dashes),
        (r"\.{3,}|[\x85\u2026]", "", lambda token: "..."),
        (r"@+|#+|_+|\*+|(?:\\\*){1,3}", "", _as_is),
        (_INSIDE, "", _as_is),
        ("[?!]+", "", _as_is),
        ("[.\xa1\xbf\u037e\u0589\u061f\u06d4\u0700-\u0702\u07fa\u3002]", "", _as_is),
        ("=", "", _as_is),
        ("/", "", _as_is),
    ]


def _compounds(alnum: str) -> _Rules:
    hyphenated = rf"{_ALNUM}[A-Za-z0-9.,\xad]*(?:-(?:{_ACRONYM}\.|[A-Za-z0-9\xad]+))+"
    elided = f"(?:[dDoOlL]{_ANY_APOSTROPHE}{alnum})?{alnum}+"
    joined = f"{elided}(?:{_HYPHEN}{elided})*"
    initials = "[A-Z]+(?:(?:[+&]|(?i:&amp;))[A-Z]+)+"
    return [
        (rf"{hyphenated}\.", _INSIDE, _soft),
        (hyphenated, "", _soft),
        (rf"{joined}\.", _INSIDE, _quotes),
        (joined, "", _quotes),
        (rf"{initials}\.", _INSIDE, _ampersand),
        (initials, "", _ampersand),
    ]


def _last_resorts() -> _Rules:
    pairs = "[`\x91-\x94\u2018-\u201f\u2039\u203a\xab\xbb]{1,2}"
    ending = rf"{_APOSTROPHE}(?:[msdMSD]|(?i:re|ve|ll))"
    return [
        ("'", r"[A-Za-z][^ \t\n\xa0]", _quotes),
        (ending, "", _quotes),
        (f"(?i:n){_ANY_APOSTROPHE}(?i:t)", "", _quotes),
        (f"''|{_APOSTROPHE}|{pairs}", "", _quotes),
        ("<<|>>", "", _as_is),
        (f"[{_SYMBOLS}]", "", _as_is),
        ("\x95", "", lambda token: "\u2022"),
        ("\x99", "", lambda token: "\u2122"),
        ("(?i:&nbsp;)", "", lambda token: ""),
    ]
