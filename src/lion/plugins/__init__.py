"""LION inside other programs, which find it by the entry points of pyproject.toml.

LION needs none of those programs, and imports nothing here before one of them loads its entry point.
"""

from typing import Any


def lmms_eval_models() -> Any:
    """LION's name and class, which lmms-eval 0.7 loads whenever it starts."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("lion", simple_class_path="lion.plugins.lmms_eval.Lion")
