"""Grids of runs: one experiment with every combination of some values, and one table at the end."""
