"""What ``interp demo`` and ``interp real`` run, one experiment after the other on one loaded model."""

from __future__ import annotations

from typing import Any

#: Experiments with what their configurations say beside the model.
Demonstration = tuple[tuple[str, dict[str, Any]], ...]

DEMO: Demonstration = (("logit_lens", {}), ("causal_tracing", {}))

#: On a pretrained model: where two facts come up and move, which heads name the indirect object (in a few of
#: the paper's templates, so that it takes a minute), and which look back.
REAL: Demonstration = (
    ("logit_lens", {}),
    ("causal_tracing", {}),
    ("head_scores", {}),
    (
        "ioi",
        {
            "n": 8,
            "templates": [
                "Then, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to",
                "When [A] and [B] got a [OBJECT] at the [PLACE], [S] decided to give it to",
            ],
            "n_random": 2,
        },
    ),
)
