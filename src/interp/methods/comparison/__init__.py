"""Two models of one architecture side by side, and many checkpoints of one training."""
