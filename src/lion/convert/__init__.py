"""Conversion of released checkpoints into ours."""
