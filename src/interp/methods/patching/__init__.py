"""Activation patching, causal tracing and path patching: activations of one run put into another."""
