"""What Wang et al. 2022 (https://arxiv.org/abs/2211.00593) report of indirect objects in GPT-2 small."""

from __future__ import annotations

#: The heads of each class, as layer.head.
PUBLISHED_HEADS: dict[str, tuple[str, ...]] = {
    "name mover": ("9.6", "9.9", "10.0"),
    "negative name mover": ("10.7", "11.10"),
    "S-inhibition": ("7.3", "7.9", "8.6", "8.10"),
    "induction": ("5.5", "5.8", "5.9", "6.9"),
    "duplicate token": ("0.1", "0.10", "3.0"),
    "previous token": ("2.2", "4.11"),
}
#: The model's figures: logit(IO) - logit(S) in logits, the share of prompts with IO above S, the probability
#: of IO, what the circuit keeps of the difference, and what it lacks in logits.
PUBLISHED: dict[str, float] = {
    "logit_diff": 3.56,
    "accuracy": 0.993,
    "prob": 0.49,
    "faithfulness": 0.87,
    "gap": 0.46,
}
