"""LION inside other programs: lmms-eval finds it by the entry point of pyproject.toml, others are told a module's name.

LION needs none of those programs, and imports nothing here before one of them does. docs/how-to/integrations.md shows
each.
"""

from typing import Any


def lmms_eval_models() -> Any:
    """LION's name and class, which lmms-eval 0.7 loads whenever it starts."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("lion", simple_class_path="lion.plugins.lmms_eval.Lion")
