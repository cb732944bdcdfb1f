"""LION inside other people's programs, which find it by the entry points of pyproject.toml.

None of those programs is needed by LION, and nothing here is imported before one of them asks for it.
"""

from typing import Any


def lmms_eval_models() -> Any:
    """What lmms-eval 0.7 is told whenever it starts, before anybody has asked for LION: its name and class."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("lion", simple_class_path="lion.plugins.lmms_eval.Lion")
