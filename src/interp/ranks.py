"""Which of the processes this is that torchrun has started together: they run one model, and one writes."""

from __future__ import annotations

import os


def n_started() -> int:
    """How many processes torchrun has started together; 1 where it has started none."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def is_first() -> bool:
    """Whether this is the process that writes what all of them found."""
    return n_started() == 1 or os.environ.get("RANK", "0") == "0"
