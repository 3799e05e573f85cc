"""Sparse autoencoders: dictionaries of a model's activations, trained, measured and exchanged as files."""
