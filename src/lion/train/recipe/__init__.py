"""Recipes: schema.py says what one holds, load.py reads it, fingerprint.py tells whether two train the same."""

from lion.train.recipe.fingerprint import fingerprint
from lion.train.recipe.load import load, parse, shipped
from lion.train.recipe.schema import SHIPPED, DatasetData, JsonlData, OptimizerSettings, Recipe, WorldData

__all__ = [
    "SHIPPED",
    "DatasetData",
    "JsonlData",
    "OptimizerSettings",
    "Recipe",
    "WorldData",
    "fingerprint",
    "load",
    "parse",
    "shipped",
]
