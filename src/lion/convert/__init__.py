"""Conversion of released checkpoints into ours: names first."""
