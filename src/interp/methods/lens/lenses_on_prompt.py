"""Several lenses side by side on one prompt: when does the answer form, by each of them?

When it misleads: lenses answer different questions. The logit lens reads what stands in the last layer's
basis already, a tuned lens what can be predicted from a state, a Jacobian lens what it makes the model say
later on average, a patchscope what the layers above make of it elsewhere. Where they differ, none need be
wrong; how good each is on text stands in its card.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from interp.answers import AnswerLike
from interp.errors import InputError, InterpDeprecation
from interp.methods.lens.logit_lens import logit_lens
from interp.methods.lens.results import LensesOnPromptResult
from interp.methods.lens.sources import AnyLens, load_lens
from interp.models.base import Model
from interp.provenance import Provenance
from interp.tokens import Prompt


def lenses_on_prompt(
    model: Model,
    prompt: Prompt,
    answer: AnswerLike | None = None,
    *,
    lenses: Sequence[AnyLens] = ("logit", "patchscope"),
    position: int = -1,
    k: int = 5,
    check_lens: bool = True,
    seed: int = 0,
) -> LensesOnPromptResult:
    """Read a position of a prompt with several lenses.

    `lenses` are names, places or lenses themselves, as `interp.load_lens` takes them, which has `check_lens`
    as `check`; the other arguments are those of `interp.logit_lens`. Raises `InputError` where a lens is not
    there or is for another model, where there is none, and what `interp.logit_lens` raises.
    """
    if not lenses:
        raise InputError("There is no lens to read with; give one or more.")
    loaded = [load_lens(lens, model, check=check_lens) for lens in lenses]
    first = logit_lens(model, prompt, answer, position=position, k=k, lens=loaded[0], seed=seed)
    same = first.answer_id if answer is None else answer
    others = [
        logit_lens(model, prompt, same, position=position, k=k, lens=lens, seed=seed) for lens in loaded[1:]
    ]
    return LensesOnPromptResult(provenance=Provenance.of(model, seed=seed), readings=(first, *others))


def tuned_lens(
    model: Model, prompt: Prompt, answer: AnswerLike | None = None, *, lens: AnyLens, **options: Any
) -> LensesOnPromptResult:
    """What `lenses_on_prompt` was called, when it took the logit lens and a tuned one."""
    warnings.warn("interp.tuned_lens is called interp.lenses_on_prompt now.", InterpDeprecation, stacklevel=2)
    return lenses_on_prompt(model, prompt, answer, lenses=["logit", lens], **options)
