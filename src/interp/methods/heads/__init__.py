"""Where attention heads look, what they copy, and which of them are induction or previous-token heads."""
