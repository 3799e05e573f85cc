"""What is said of norms behind attention and MLP (Gemma 2 and 3, OLMo-2), where a model has them."""

from __future__ import annotations

from typing import Literal

from interp.provenance import Provenance

_HOW = {
    "frozen": (
        "The norms behind attention and MLPs are frozen: what a part writes has the scale that its layer had "
        "in the run that it comes from."
    ),
    "recomputed": (
        "The norms behind attention and MLPs are recomputed in every changed run: a change of one head "
        "rescales what the others of its layer write."
    ),
}


def norms_sentences(provenance: Provenance, *how: Literal["frozen", "recomputed"]) -> tuple[str, ...]:
    """How a method treats these norms; nothing for a model that has none."""
    return tuple(_HOW[one] for one in how) if provenance.post_norms else ()
