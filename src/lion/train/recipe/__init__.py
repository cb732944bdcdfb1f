"""Recipes: their schema, reading them from files, and a hash of what shapes training."""

from lion.train.recipe.reading import Chain, check_given_once, load, load_chain, parse, shipped

__all__ = ["Chain", "check_given_once", "load", "load_chain", "parse", "shipped"]
