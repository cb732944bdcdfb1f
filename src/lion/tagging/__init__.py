"""The tagger: a picture to a list of tags, which LION reads in its tag prompt and may be wrong.

Anything that maps pictures to tag lists is a :class:`Tagger`; :class:`RamTagger` is the one that LION was built with.
The network is loaded when it is first used, so that importing this package stays instant.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from PIL.Image import Image

if TYPE_CHECKING:
    from lion.tagging.configuration_ram import RamConfig as RamConfig
    from lion.tagging.loss import asymmetric_loss as asymmetric_loss
    from lion.tagging.modeling_ram import RamModel as RamModel
    from lion.tagging.policy import TagPolicy as TagPolicy
    from lion.tagging.policy import best_f1_thresholds as best_f1_thresholds
    from lion.tagging.ram_tagger import RamTagger as RamTagger
    from lion.tagging.ram_tagger import preprocess as preprocess
    from lion.tagging.tag_cache import TagCache as TagCache
    from lion.tagging.tag_file import TagFile as TagFile
    from lion.tagging.tag_file import TagRow as TagRow
    from lion.tagging.tag_file import write_tags as write_tags
    from lion.tagging.vocabulary import Vocabulary as Vocabulary


class Tagger(Protocol):
    """What the pipeline and the data layer ask of a tagger."""

    def __call__(self, images: Sequence[Image]) -> list[list[str]]:
        """The tags of each picture, best used as they stand; an empty list where nothing was recognised."""


_HOMES = {
    "RamConfig": "configuration_ram",
    "RamModel": "modeling_ram",
    "RamTagger": "ram_tagger",
    "TagCache": "tag_cache",
    "TagFile": "tag_file",
    "TagPolicy": "policy",
    "TagRow": "tag_file",
    "Vocabulary": "vocabulary",
    "asymmetric_loss": "loss",
    "best_f1_thresholds": "policy",
    "preprocess": "ram_tagger",
    "write_tags": "tag_file",
}

__all__ = [
    "RamConfig",
    "RamModel",
    "RamTagger",
    "TagCache",
    "TagFile",
    "TagPolicy",
    "TagRow",
    "Tagger",
    "Vocabulary",
    "asymmetric_loss",
    "best_f1_thresholds",
    "preprocess",
    "write_tags",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lion.tagging' has no attribute {name!r}")
    value = getattr(import_module(f"lion.tagging.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
