"""Penn Treebank words of a caption, as the COCO caption toolkit makes them, without its Java.

The toolkit pipes captions through the tokeniser of Stanford CoreNLP 3.4.1 (``-preserveLines -lowerCase``) and then drops
punctuation. CIDEr, BLEU and ROUGE-L are sensitive to every token, so the quirks are kept: brackets become ``-lrb-`` and
stay, since the list of punctuation has them in capitals; ``?!`` stays, since it is not on the list.

The rules stand in ptb_rules.py. They are tried at each position: the longest match wins, with what a rule must see behind
its token counted in; of equals, the first in the list.
"""

import re
from collections.abc import Sequence

from lion.metrics.ptb_rules import rules, shadow

_PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
# Most of a caption is plain words, which no rule treats otherwise, save those that are split in two.
_PLAIN = re.compile(r"(?!(?:cannot|gonna|gotta|lemme|gimme|wanna)\b)[a-z]+(?=[ \n])", re.IGNORECASE | re.ASCII)
_BLANKS = re.compile("[ \t]+")
_LINE_BREAKS = re.compile("[\n\r\v\f\x85\u2028\u2029]")


def ptb_captions(captions: Sequence[str]) -> list[str]:
    """The words of each caption, lower-cased, punctuation dropped, one blank between two of them.

    ``A man's hat, (red).`` gives ``a man 's hat -lrb- red -rrb-``. A token may hold a no-break space (``1 1/2`` is one
    token). A line break inside a caption counts as a blank; the toolkit mends ``\\n`` alone and loses count at others.

    Like the toolkit this reads all captions as one text, a line each, and in rare cases what follows matters: a last
    "D." keeps its full stop unless the next caption begins like a sentence ("The ...").
    """
    lines = _tokens("\n".join(_LINE_BREAKS.sub(" ", caption) for caption in captions))
    return [" ".join(token for token in line if token not in _PUNCTUATION) for line in lines][: len(captions)]


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
