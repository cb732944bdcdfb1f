"""LION: a vision-language model with dual-level visual knowledge (CVPR 2024, arXiv 2311.11860).

    lion = LionPipeline.from_pretrained()  # lion-mini; or a folder, or a Hub id
    lion.ask("photo.jpg", "what color is the car?").text

The public names are loaded when they are first used, so that ``import lion`` and ``lion --help`` stay instant. What
imports ``lion.model``, and so every LION class named here, also registers LION with ``AutoConfig``, ``AutoModel`` and
``AutoProcessor``; code that names only Auto classes says ``import lion.model`` itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lion.boxes import Box as Box
    from lion.errors import LionError as LionError
    from lion.model import LionConfig as LionConfig
    from lion.model import LionForConditionalGeneration as LionForConditionalGeneration
    from lion.model import LionProcessor as LionProcessor
    from lion.pipeline import LionPipeline as LionPipeline

__version__ = "0.1.0"

_HOMES = {
    "Box": "lion.boxes",
    "LionConfig": "lion.model",
    "LionError": "lion.errors",
    "LionForConditionalGeneration": "lion.model",
    "LionPipeline": "lion.pipeline",
    "LionProcessor": "lion.model",
}

__all__ = [
    "Box", "LionConfig", "LionError", "LionForConditionalGeneration", "LionPipeline", "LionProcessor", "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lion' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES} - {"Any", "TYPE_CHECKING", "import_module"})
