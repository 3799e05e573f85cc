"""Experiments: a configuration, the call of a method, the choice of a figure. One file each."""
