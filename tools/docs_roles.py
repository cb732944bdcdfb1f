"""Docstrings for the site: Sphinx's roles, which editors know, become links, and errors told in a line stand out."""

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`(?:[^`<]*<)?(~?)([\w.]+)>?`")
IN_A_LINE = re.compile(r"\b(Raises|Warns): (?=\S)")
"""``Raises: LionError for ...``, beside griffe's section of that name, whose lines follow the colon's."""


class Docstrings(Extension):
    """Turns ``:class:`~lion.boxes.Box` `` into a link to the entry of ``lion.boxes.Box``, if the site has one."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        if obj.docstring:
            text = IN_A_LINE.sub(r"**\1:** ", obj.docstring.value)
            obj.docstring.value = ROLE.sub(lambda role: _link(role[2], bool(role[1]), obj), text)


def _link(name: str, short: bool, where: Object) -> str:
    shown = name.rpartition(".")[2] if short else name
    return f'<autoref optional identifier="{_path(name, where)}"><code>{shown}</code></autoref>'


def _path(name: str, where: Object) -> str:
    """The full name of what a docstring calls by a short one."""
    if name.startswith("lion."):
        return name
    try:
        return where.resolve(name)
    except Exception:  # what is defined further down, or not at all: griffe has an error for each
        return f"{where.module.path}.{name}"
