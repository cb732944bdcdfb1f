"""Conversion of released checkpoints."""
