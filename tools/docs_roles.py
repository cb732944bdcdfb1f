"""Docstrings name code in Sphinx's roles, which editors know; for the site they become Markdown's links."""

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`(?:[^`<]*<)?(~?)([\w.]+)>?`")


class Roles(Extension):
    """Turns ``:class:`~lion.boxes.Box` `` into a link to the entry of ``lion.boxes.Box``."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = ROLE.sub(_link, obj.docstring.value)


def _link(role: re.Match) -> str:
    return f"`{role[2].rpartition('.')[2] if role[1] else role[2]}`"
