"""Training data: samples from sources, mixed by weight, collated to tensors; every draw a pure function of the step."""
