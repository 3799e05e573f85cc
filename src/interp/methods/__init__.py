"""Techniques by subject: a method takes a model and data, and returns a result: numbers and labels.

Rooms import in this order only: common; lens, heads, patching, ablation, steering; attribution; circuits;
features; studies.
"""
