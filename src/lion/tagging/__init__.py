"""Image tagging: images to lists of tags, which LION reads in its tag prompt and which may be wrong.

Anything that maps images to tag lists is a :class:`Tagger`; :class:`RamTagger` is the one that LION was built with. The
other names are loaded when they are first used, so that importing this package does not import torch.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from PIL.Image import Image

if TYPE_CHECKING:
    from lion.tagging.configuration_ram import RamConfig
    from lion.tagging.modeling_ram import RamModel
    from lion.tagging.ram_tagger import RamTagger, TagPolicy
    from lion.tagging.tag_cache import TagCache
    from lion.tagging.tag_file import TagFile, TagRow, write_tags

_MODULES = {
    "RamConfig": "configuration_ram",
    "RamModel": "modeling_ram",
    "RamTagger": "ram_tagger",
    "TagCache": "tag_cache",
    "TagFile": "tag_file",
    "TagPolicy": "ram_tagger",
    "TagRow": "tag_file",
    "write_tags": "tag_file",
}
__all__ = [
    "RamConfig", "RamModel", "RamTagger", "TagCache", "TagFile", "TagPolicy", "TagRow", "Tagger", "write_tags",
]  # fmt: skip


class Tagger(Protocol):
    """The interface of a tagger."""

    def __call__(self, images: Sequence[Image]) -> list[list[str]]:
        """The tags of each image, in the order in which prompts list them; an empty list where none was found."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'lion.tagging' has no attribute {name!r}")
    value = getattr(import_module(f"lion.tagging.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
