"""The drawn world: scenes with exact boxes, and texts about them.

`scene` lays a scene out, `render` draws it, and the functions of `language` and `dialog` make texts about it.
"""

from lion.world.draw import render
from lion.world.language import EXPRESSION_KINDS, VQA_KINDS, caption, noisy_tags, tags
from lion.world.questions import POPE_TASKS, QUESTION_SETS, TestQuestion, test_questions
from lion.world.scene import Scene, SceneObject, scene
from lion.world.vocabulary import CATEGORIES, COLOURS, SIZES, THEMES, WORLD_VERSION, vocabulary

__all__ = [
    "CATEGORIES", "COLOURS", "EXPRESSION_KINDS", "POPE_TASKS", "QUESTION_SETS", "SIZES", "THEMES", "VQA_KINDS",
    "WORLD_VERSION", "Scene", "SceneObject", "TestQuestion", "caption", "noisy_tags", "render", "scene", "tags",
    "test_questions", "vocabulary",
]  # fmt: skip
