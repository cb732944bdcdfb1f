"""Recipes: their schema, reading them from files, and a hash of what shapes training."""
