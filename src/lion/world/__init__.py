"""The mini world: drawn scenes with exact boxes and everything that can be said about them.

`scene` decides what stands where, `render` draws it, and the functions of the language modules speak of it.
"""

from lion.world.dialog import dialog
from lion.world.draw import render
from lion.world.language import (
    EXPRESSION_KINDS,
    POPE_FLAVOURS,
    VQA_KINDS,
    Expression,
    Question,
    caption,
    describe,
    expression,
    noisy_tags,
    pope,
    tags,
    vqa,
)
from lion.world.questions import POPE_TASKS, QUESTION_SETS, TestQuestion, test_questions
from lion.world.scene import Scene, SceneObject, scene
from lion.world.vocabulary import CATEGORIES, COLOURS, SIZES, THEMES, WORLD_VERSION, vocabulary, words

__all__ = [
    "CATEGORIES",
    "COLOURS",
    "EXPRESSION_KINDS",
    "POPE_FLAVOURS",
    "POPE_TASKS",
    "QUESTION_SETS",
    "SIZES",
    "THEMES",
    "VQA_KINDS",
    "WORLD_VERSION",
    "Expression",
    "Question",
    "Scene",
    "SceneObject",
    "TestQuestion",
    "caption",
    "describe",
    "dialog",
    "expression",
    "noisy_tags",
    "pope",
    "render",
    "scene",
    "tags",
    "test_questions",
    "vocabulary",
    "vqa",
    "words",
]
