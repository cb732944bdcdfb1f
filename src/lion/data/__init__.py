"""Training data: samples from sources, mixed by weight, collated into tensors; every draw a pure function of a step."""
