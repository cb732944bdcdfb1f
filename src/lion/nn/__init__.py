"""Layers that the model and the tagger share."""
