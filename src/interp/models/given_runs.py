"""Runs of prompts in which the activation at one place of each is given, differentiable in what is given.

1. What the prompts have at the place by themselves is read once.
2. Prompts of one length whose place is the same run together, so that nothing is padded.
3. What is given at a position acts on no earlier one. So where the backend keeps keys and values, those of
   the tokens before the place are computed once, and each run reads the tokens from there on alone. With
   `cached` False whole prompts are run, which gives the same.
4. A run ends with the residual stream of the last position; of the unembedding only the tokens that are asked
   for are computed, where the backend can.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.models.base import Model
from interp.models.columns import unembed_columns
from interp.models.editing import GradientTaps, Taps
from interp.models.rotary import scales
from interp.sites import SITES, Address
from interp.tokens import Tokens

_MOST_ROWS = 32  # of a group


@dataclass(frozen=True, eq=False)
class _Group:
    """Prompts of one length, the same place in each; `past` knows the tokens before `start`."""

    rows: dict[int, int]  # prompt -> row
    ids: Tensor  # [row, pos]
    at: int
    start: int
    past: Any | None


class GivenRuns:
    """Some prompts and a position in each, to be run with an activation there that is given.

    Raises `InputError` where there are not as many positions as prompts, or a prompt cannot be used.
    """

    def __init__(
        self,
        model: Model,
        prompts: Sequence[Sequence[int]],
        positions: Sequence[int],
        *,
        cached: bool = True,
    ) -> None:
        if len(prompts) != len(positions):
            raise InputError(
                f"There are {len(prompts)} prompts and {len(positions)} positions; give one each."
            )
        self.model = model
        keeps = (
            cached
            and not model.why_uncached()
            and len({*map(scales(model.hf_model), (1, *map(len, prompts)))}) == 1
        )
        together: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, (ids, at) in enumerate(zip(prompts, positions, strict=True)):
            together[len(ids), at].append(number)
        self.groups = [
            self._group([(n, prompts[n]) for n in numbers[i : i + _MOST_ROWS]], at, keeps)
            for (_, at), numbers in sorted(together.items())
            for i in range(0, len(numbers), _MOST_ROWS)
        ]
        self._of = {number: group for group in self.groups for number in group.rows}

    def own(self, addresses: Sequence[Address]) -> list[Float[Tensor, "prompt width"]]:
        """What the prompts have at the place, by themselves, at each of some addresses."""
        found: list[dict[int, Tensor]] = [{} for _ in addresses]
        for group in self.groups:
            tokens = Tokens.pad([ids.tolist() for ids in group.ids])
            cache = self.model.run_with_cache(tokens, list(addresses), logits=False)
            for values, address in zip(found, addresses, strict=True):
                here = cache[address][:, group.at].flatten(1)
                values.update({number: here[row] for number, row in group.rows.items()})
        return [torch.stack([values[n] for n in range(len(self._of))]) for values in found]

    def together(self, numbers: Sequence[int]) -> list[list[int]]:
        """The indices of `numbers`, prompts of which some may occur several times, that can run together."""
        of: dict[int, list[int]] = defaultdict(list)
        for i, number in enumerate(numbers):
            of[id(self._of[number])].append(i)
        return list(of.values())

    def __call__(
        self,
        numbers: Sequence[int],
        address: Address,
        values: Float[Tensor, "run width"],
        columns: Sequence[int] | None,
    ) -> Float[Tensor, "run column"]:
        """The logits of some tokens (None: all) where the prompts `numbers` end, with `values` at the place.
        All of one group (`together`); gradients with respect to `values` can be taken."""
        model, group = self.model, self._of[numbers[0]]
        rows = [group.rows[number] for number in numbers]
        ids = group.ids[rows, group.start :].to(model.device)
        edit = Edit.set(
            address.site,
            address.layer,
            value=values.to(model.device, model.dtype)[:, None],
            positions=group.at - group.start,
        )
        end = Address("resid_post", model.arch.n_layers - 1)
        taps = GradientTaps([end], [edit], (ids.shape[1],) * len(rows))
        past = None if group.past is None else group.past.of_rows(rows)
        with model._lock:
            model._run_to_last_site(ids, taps, past)
        taps.check_all_visited()
        stream = taps.values[end.site, end.layer][:, -1]
        if columns is None:
            return model.unembed(stream, differentiable=torch.is_grad_enabled())
        return unembed_columns(model, stream, columns)

    def _group(self, prompts: Sequence[tuple[int, Sequence[int]]], at: int, keeps: bool) -> _Group:
        ids = torch.tensor([list(own) for _, own in prompts])
        rows = {number: row for row, (number, _) in enumerate(prompts)}
        past, start = None, 0
        if keeps and at > 0:
            past, start = self.model.new_past(), at
            with self.model._lock, torch.no_grad():
                self.model.run_last(ids[:, :at], Taps((), (), (at,) * len(rows)), past)
        return _Group(rows, ids, at, start, past)


def check_place(site: str) -> None:
    """`InputError` for a site whose activation at a position is not one vector."""
    if SITES[site].per_head or not SITES[site].per_layer or site == "pattern":
        raise InputError(f"An interchange is made at a site of a layer without heads, which {site!r} is not.")
