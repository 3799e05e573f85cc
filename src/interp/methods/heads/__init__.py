"""Attention heads: where they look, what they copy, and which are induction heads or previous-token heads."""
