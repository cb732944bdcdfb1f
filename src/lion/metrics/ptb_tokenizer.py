r"""Captions into words, as the official COCO caption evaluation does it, without Java.

That evaluation writes all captions into one text, a line each, sends it through Stanford CoreNLP 3.4.1 (``PTBTokenizer
-preserveLines -lowerCase``) and drops tokens of punctuation. Scores depend on every token, so its oddities are kept:

* brackets stay, as ``-lrb-`` and the like, since the list of punctuation has them in capitals;
* only marks on that list go: ``?!``, ``!!`` and ``-----`` stay;
* a full stop or mark between letters joins them (``street.A`` is one word), as do slashes and single hyphens;
* a full stop stays with abbreviations, initials and acronyms even at the end of a sentence (``Main st.``);
* blanks inside fractions, telephone numbers and tags become no-break spaces (``2 1/2`` is one token);
* characters beyond the first plane of Unicode, emoji above all, divide words and vanish.

The rules are in ptb_rules.py. All are tried where a token starts: the longest match wins, right context included; of
equals, the first.
"""

import re
from collections.abc import Iterable

from lion.metrics.ptb_rules import rules, shadow

PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""Tokens dropped by the official evaluation, less the brackets on its list: in capitals there, they match none."""

# A shortcut for plain words, which no rule changes, but for those that are split in two.
_PLAIN = re.compile(r"(?!(?:cannot|gonna|gotta|lemme|gimme|wanna)\b)[a-z]+(?=[ \n])", re.IGNORECASE | re.ASCII)
_BLANKS = re.compile("[ \t]+")
_LINE_ENDS = re.compile("[\n\r\v\f\x85\u2028\u2029]")


def tokenize(captions: Iterable[str]) -> list[str]:
    """Each caption in lower case, its tokens separated by single blanks, punctuation dropped.

    As officially, captions are lines of one text, and in two places their order matters: an initial at the end of a
    caption ("vitamin C.") loses its full stop if the next begins like a sentence ("The ..."), and the last caption ends
    with the text instead of a line. Line ends inside a caption count as blanks; officially all but ``\\n`` would shift
    the captions behind it.
    """
    lines = [_LINE_ENDS.sub(" ", caption) for caption in captions]
    if not lines:
        return []
    return [" ".join(token for token in line if token not in PUNCTUATION) for line in _tokens("\n".join(lines))]


def _tokens(text: str) -> list[list[str]]:
    """The lower-case tokens of each line, punctuation too."""
    form = shadow(text)
    lines: list[list[str]] = [[]]
    at = 0
    while at < len(text):
        if text[at] == "\n":
            lines.append([])
            at += 1
        elif blanks := _BLANKS.match(form, at):
            at = blanks.end()
        elif plain := _PLAIN.match(form, at):
            lines[-1].append(plain[0].lower())
            at = plain.end()
        else:
            token, at = _next(text, form, at)
            lines[-1] += [token.lower()] if token else []
    return lines


def _next(text: str, form: str, at: int) -> tuple[str, int]:
    """The token that starts at a position, empty where nothing can be read, and where the next one may start."""
    best, longest, end = None, at, at + 1
    for rule in rules():
        if (match := rule.pattern.match(form, at)) and match.end() > longest:
            best, longest, end = rule, match.end(), match.end(1)
    if best is None:
        return "", end
    end -= best.give_back
    token = text[at:end]
    return best.rewrite(token) if best.rewrite else token, end
