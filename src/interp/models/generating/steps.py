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
    run: Runs
    past: Past | None
    rows: list[int]
    streams: list[np.random.Generator]
    ids: Tensor  # [row, pos], as far as they are known
    n_read: int = 0  # positions that have been run
    ended: list[bool] = field(default_factory=list)

    def steps(self) -> Iterator[Step]:
        """A step for each token; where activations are read, one more, of the last token, with no row."""
        self.ended = [False] * len(self.rows)
        for n in range(self.asked.n_tokens + 1):
            if n == self.asked.n_tokens and not self.asked.reads:
                return
            report("tokens", n, self.asked.n_tokens)
            logits, read = self._pass()
            going = [i for i, ended in enumerate(self.ended) if not ended]
            if n == self.asked.n_tokens:
                going = []
            chosen = choose(logits[going], self.asked.sample, [self.streams[i] for i in going])
            ends = [token in self.asked.stop for token in chosen]
            yield Step(tuple(self.rows[i] for i in going), tuple(chosen), tuple(ends), logits[going], read)
            goes_on = [j for j, end in enumerate(ends) if self.asked.reads or not end]
            if not goes_on:
                return
            self._keep([going[j] for j in goes_on], [ends[j] for j in goes_on])
            new = torch.tensor([[chosen[j]] for j in goes_on])
            self.ids = torch.cat([self.ids, new], dim=1)

    def _pass(self) -> tuple[Tensor, Read | None]:
        """Run what has not been run: the logits of the last position, and what was read."""
        asked, n_rows, n_prompt = self.asked, len(self.asked.tokens), self.n_prompt
        made = (Placed.of(edit, self.rows, n_rows=n_rows, n_prompt=n_prompt) for edit in asked.edits)
        taps = StepTaps(
            asked.reads,
            [placed for placed in made if placed is not None],
            n_rows=len(self.rows),
            n_prompt=n_prompt,
            offset=0 if self.past is None else self.n_read,
            new=self.n_read,
        )
        logits = self.run(self.ids[:, taps.offset :], taps, self.past)
        taps.check_all_visited()
        read = Read(tuple(self.rows), self.n_read, taps.values) if asked.reads else None
        self.n_read = self.ids.shape[1]
        return logits.double().cpu(), read

    @property
    def n_prompt(self) -> int:
        return self.asked.tokens.lengths[self.rows[0]]

    def _keep(self, rows: list[int], ended: list[bool]) -> None:
        """Go on with these of its rows alone."""
        self.ended = ended
        if len(rows) == len(self.rows):
            return
        self.rows, self.streams = [self.rows[i] for i in rows], [self.streams[i] for i in rows]
        self.ids = self.ids[rows]
        if self.past is not None:
            self.past.keep_rows(rows)


def steps(asked: Asked, run: Runs, new_past: Callable[[], Any | None]) -> Iterator[Step]:
    """The steps of all prompts; groups of one length take turns, the shortest first."""
    tokens = asked.tokens
    streams = (asked.sample or Sample()).streams(tokens.row(row) for row in range(len(tokens)))
    running = []
    for length in sorted(set(tokens.lengths)):
        rows = [row for row, own in enumerate(tokens.lengths) if own == length]
        ids = tokens.ids[rows, :length]
        group = _Group(asked, run, new_past(), rows, [streams[row] for row in rows], ids)
        running.append(group.steps())
    while running:
        for one in list(running):
            step = next(one, None)
            if step is None:
                running.remove(one)
            else:
                yield step
