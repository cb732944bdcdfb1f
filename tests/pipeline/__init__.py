"""Tests of lion.pipeline, on a tiny model with random weights."""
