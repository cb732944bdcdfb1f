"""Recipes: their schema, reading them from files, and a hash of what shapes training."""

from lion.train.recipe.reading import Chain, load, load_chain, parse, shipped

__all__ = ["Chain", "load", "load_chain", "parse", "shipped"]
