"""Groups of prompts of one length, run a token at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit, EditFrom
from interp.models.editing import Key, Taps
from interp.models.generating.joined import Joined, JoinedTaps, bunches
from interp.models.generating.taps import Placed, StepTaps
from interp.progress import report
from interp.sampling import Sample, choose
from interp.sites import Address
from interp.tokens import Tokens


@runtime_checkable
class Past(Protocol):
    """What a backend keeps of the tokens that it has read, so that it need not read them again."""

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Forget all rows but these."""

    def of_rows(self, rows: Sequence[int]) -> Past:
        """Those of some rows, each as often as it is named; what is kept here stays as it is."""

    @classmethod
    def joined(cls, pasts: Sequence[Any]) -> Past:
        """Those of several, one below the other; the shorter ones have places on their left."""


#: How a backend runs some texts of one length: all of their tokens [row, pos], or those that are not in what
#: it keeps. Gives the logits of the last position, [row, d_vocab].
Runs = Callable[[Tensor, Taps, Any], Tensor]


@dataclass(frozen=True, eq=False)
class Read:
    """The activations of some rows at the positions from `start` on, which one pass has read."""

    rows: tuple[int, ...]
    start: int
    values: dict[Key, Tensor]  # [row, pos, ...]; of a pattern [row, head, query, key]


@dataclass(frozen=True, eq=False)
class Step:
    """The next token of each of some prompts, those of one length that have not ended."""

    rows: tuple[int, ...]  # of the batch of prompts
    ids: tuple[int, ...]  # the tokens
    ended: tuple[bool, ...]  # whether it is one that ends the text
    logits: Float[Tensor, "row d_vocab"]  # that the token was chosen by: float64, on the CPU
    read: Read | None  # what was read in this pass; of the token itself, the next one reads it


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be generated."""

    tokens: Tokens
    n_tokens: int
    edits: tuple[Edit | EditFrom, ...]
    sample: Sample | None
    stop: frozenset[int]
    reads: tuple[Address, ...]


@dataclass(eq=False)
class _Group:
    """Some rows of one length, and how far they are."""

    asked: Asked
    past: Past | None
    rows: list[int]
    streams: list[np.random.Generator]
    ids: Tensor  # [row, pos], as far as they are known
    n_read: int = 0  # positions that have been run
    n_said: int = 0  # tokens
    ended: list[bool] = field(default_factory=list)
    goes_on: bool = True

    def taps(self) -> StepTaps:
        """Those of the pass that runs what has not been run."""
        asked, n_rows, n_prompt = self.asked, len(self.asked.tokens), self.n_prompt
        made = (Placed.of(edit, self.rows, n_rows=n_rows, n_prompt=n_prompt) for edit in asked.edits)
        return StepTaps(
            asked.reads,
            [placed for placed in made if placed is not None],
            n_rows=len(self.rows),
            n_prompt=n_prompt,
            offset=0 if self.past is None else self.n_read,
            new=self.n_read,
        )

    def step(self, logits: Tensor, taps: StepTaps) -> tuple[Step, list[int]]:
        """The next tokens, after that pass; and which of its rows go on, by their places among them. Where
        activations are read, there is one more step, of the last token, with no row."""
        taps.check_all_visited()
        read = Read(tuple(self.rows), self.n_read, taps.values) if self.asked.reads else None
        self.n_read = self.ids.shape[1]
        ended = self.ended or [False] * len(self.rows)
        over = self.n_said == self.asked.n_tokens
        going = [] if over else [i for i, end in enumerate(ended) if not end]
        logits = logits[going].double().cpu()
        chosen = choose(logits, self.asked.sample, [self.streams[i] for i in going])
        ends = [token in self.asked.stop for token in chosen]
        step = Step(tuple(self.rows[i] for i in going), tuple(chosen), tuple(ends), logits, read)
        self.n_said += 1
        goes_on = [j for j, end in enumerate(ends) if self.asked.reads or not end]
        self.goes_on = bool(goes_on) and (self.n_said < self.asked.n_tokens or bool(self.asked.reads))
        if not self.goes_on:
            return step, []
        rows = [going[j] for j in goes_on]
        self.ended = [ends[j] for j in goes_on]
        self.rows, self.streams = [self.rows[i] for i in rows], [self.streams[i] for i in rows]
        new = torch.tensor([[chosen[j]] for j in goes_on])
        self.ids = torch.cat([self.ids[rows], new], dim=1)
        return step, rows

    @property
    def n_prompt(self) -> int:
        return self.asked.tokens.lengths[self.rows[0]]


def steps(
    asked: Asked, run: Runs, new_past: Callable[[], Any | None], *, joins: Callable[[], bool]
) -> Iterator[Step]:
    """The steps of all prompts; groups of one length take turns, the shortest first. Each reads its prompts
    by itself; then those of like lengths are run together, where the model `joins` them."""
    tokens = asked.tokens
    streams = (asked.sample or Sample()).streams(tokens.row(row) for row in range(len(tokens)))
    groups = []
    for length in sorted(set(tokens.lengths)):
        rows = [row for row, own in enumerate(tokens.lengths) if own == length]
        ids = tokens.ids[rows, :length]
        groups.append(_Group(asked, new_past(), rows, [streams[row] for row in rows], ids))
    running = [_Bunch([group], group.past) for group in groups]
    n = 0
    while running:
        report("tokens", min(n, asked.n_tokens), asked.n_tokens)
        for bunch in running:
            yield from bunch.steps(run)
        running = [bunch for bunch in running if bunch.groups]
        if n == 0 and len(running) > 1 and joins():
            lengths = [bunch.groups[0].n_prompt for bunch in running]
            several = bunches(lengths, asked.n_tokens)
            running = [_Bunch.joined([running[i] for i in together]) for together in several]
        n += 1


@dataclass(eq=False)
class _Bunch:
    """Groups that are run in one pass, each with so many places on the left of its texts; None: one alone."""

    groups: list[_Group]
    past: Any | None
    pads: list[int] | None = None

    @classmethod
    def joined(cls, several: Sequence[_Bunch]) -> _Bunch:
        """Those of several, each of one group that has read its prompts and nothing else, as one."""
        if len(several) == 1:
            return several[0]
        groups = [bunch.groups[0] for bunch in several]
        longest = max(group.n_read for group in groups)
        first: Any = several[0].past
        past = type(first).joined([bunch.past for bunch in several])
        return cls(groups, past, [longest - group.n_read for group in groups])

    def steps(self, run: Runs) -> Iterator[Step]:
        """One pass, and the step of each group; those that are at their end are let go."""
        taps = [group.taps() for group in self.groups]
        new = torch.cat([group.ids[:, one.offset :] for group, one in zip(self.groups, taps, strict=True)])
        sizes = [len(group.rows) for group in self.groups]
        logits = run(new, taps[0] if self.pads is None else self._together(sizes, taps), self.past)
        kept: list[int] = []
        for i, (group, own) in enumerate(zip(self.groups, taps, strict=True)):
            first = sum(sizes[:i])
            step, rows = group.step(logits[first : first + sizes[i]], own)
            kept += [first + row for row in rows]
            yield step
        if self.past is not None and kept and len(kept) < len(new):
            self.past.keep_rows(kept)
        goes_on = [i for i, group in enumerate(self.groups) if group.goes_on]
        self.groups = [self.groups[i] for i in goes_on]
        if self.pads is not None:
            self.pads = [self.pads[i] for i in goes_on]

    def _together(self, sizes: list[int], taps: list[StepTaps]) -> JoinedTaps:
        assert self.pads is not None
        return JoinedTaps([Joined(*part) for part in zip(sizes, self.pads, taps, strict=True)])
