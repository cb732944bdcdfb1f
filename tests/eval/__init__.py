"""Tests of lion.eval, on a tiny model with random weights and on one that knows the truth."""
