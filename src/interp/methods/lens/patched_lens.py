"""Patching by hand: one cell of a prompt's lens put into another prompt, and the lens read again.

After NDIF's Patch Lens (https://ndif.us). The residual stream after a layer, at a position of the source
prompt, takes the place of that at any layer and position of the target prompt. What can differ then is a
cone: the patched cell, later layers at its position, and later layers at the positions behind it.

    value = model.run_with_cache(source, ["resid_post"])["resid_post", layer][0, position]
    patch = Edit.set("resid_post", to_layer, value=value, positions=to_position)
    interp.logit_lens(model, target, answer, position="all", edits=[patch])

is the same by hand. When it misleads: into a late layer, the patch brings what the source would say anyway,
so that the patched cell says it whatever the model does with it; look at what changes behind it. Into another
layer than it came from, or another position, the stream stands where the model did not learn to read it, and
what follows may tell of that alone. One pair of cells is an anecdote: `interp.activation_patching` measures
all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from interp.answers import Answer, AnswerLike
from interp.edits import Edit
from interp.errors import InputError
from interp.methods.lens.columns import LensReadings, read_columns, streams_of
from interp.methods.lens.lens import EMBEDDING
from interp.methods.lens.logit_lens import logit_lens, positions_to_read
from interp.methods.lens.results import PatchedLensResult
from interp.methods.lens.sources import AnyLens, load_lens
from interp.models.base import Model
from interp.provenance import Provenance
from interp.tokens import Prompt

Positions = Sequence[int] | Literal["all"]


def patched_lens(
    model: Model,
    source: Prompt,
    target: Prompt,
    *,
    source_cell: Sequence[int],
    target_cell: Sequence[int],
    answer: AnswerLike | None = None,
    source_positions: Positions = "all",
    target_positions: Positions = "all",
    k: int = 5,
    lens: AnyLens = "logit",
    kept: LensReadings | None = None,
    seed: int = 0,
) -> PatchedLensResult:
    """Read both prompts with a lens, and the target with the source's cell in it.

    Args:
        source, target: text or token ids, of any lengths.
        source_cell, target_cell: (layer, position): the stream after that layer, -1 being the embedding; the
            position counted from the end where negative.
        answer: the token that is followed, in one form or several; by default the one that the model says
            after the source.
        source_positions, target_positions: which positions are read; the cells need not be among them.
        k, lens, kept, seed: as in `interp.logit_lens`.

    Raises:
        InputError: an unusable prompt, a cell that is not there, an answer of several tokens, and what
            `interp.logit_lens` refuses.
    """
    lens, kept = load_lens(lens, model), kept or LensReadings(column_bytes=0)
    ids = {"source": model.to_tokens(source).row(0), "target": model.to_tokens(target).row(0)}
    came_from = _checked(source_cell, "source", model.arch.n_layers, len(ids["source"]))
    put_into = _checked(target_cell, "target", model.arch.n_layers, len(ids["target"]))
    asked = None if answer is None else model.to_answer(answer)
    if asked is not None and not asked.at_once:
        raise InputError("A patched lens follows an answer of one token, in one form or several.")
    for which, positions in (("source", source_positions), ("target", target_positions)):
        positions_to_read(positions, len(ids[which]))  # refused before a prompt is run
    if asked is None:
        (last,) = read_columns(model, ids["source"], [len(ids["source"]) - 1], lens=lens, k=k, kept=kept)
        asked = Answer.of(last.final_id)
    value = streams_of(model, ids["source"], kept)[came_from[0] - EMBEDDING, came_from[1]]  # [d_model]
    site, layer = ("resid_pre", 0) if put_into[0] == EMBEDDING else ("resid_post", put_into[0])
    patch = Edit.set(site, layer, value=value, positions=put_into[1])
    read = partial(logit_lens, model, k=k, lens=lens, kept=kept, seed=seed)
    return PatchedLensResult(
        provenance=Provenance.of(model, seed=seed),
        source=read(source, asked, position=source_positions),
        target=read(target, asked, position=target_positions),
        patched=read(target, asked, position=target_positions, edits=[patch]),
        source_cell=came_from,
        target_cell=put_into,
    )


def _checked(cell: Sequence[int], which: str, n_layers: int, n: int) -> tuple[int, int]:
    """A cell with its position counted from the start; `InputError` where it is none of the prompt's."""
    if len(cell) != 2 or any(isinstance(one, bool) or not isinstance(one, int) for one in cell):
        raise InputError(f"The {which} cell is a layer and a position, such as [3, -1]; got {cell!r}.")
    layer, position = cell
    if not EMBEDDING <= layer < n_layers:
        raise InputError(
            f"The {which} cell has layer {layer}; layers go from {EMBEDDING} (the embedding) to "
            f"{n_layers - 1}."
        )
    if not -n <= position < n:
        raise InputError(
            f"The {which} cell has position {position}; the prompt has {n} tokens, from 0 to {n - 1}."
        )
    return layer, position % n
