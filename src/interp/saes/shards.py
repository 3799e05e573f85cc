"""Activations on disk: run once through the model, and read from then on.

A folder holds the activations of some sites on one text, in the precision in which the model computes them:

- ``activations.json``: of which model, sites and text they are, and how many sequences a shard has;
- ``shard-00000.safetensors``, ...: of each site, under its hook name, [sequence, position, width], in the
  order of the text, without the first position of each sequence.

A shard is written in one step, so that what was stopped goes on behind the last whole one. How much there is
to write is known before the model runs (`bytes_of`), and more than the disk has room for is refused then.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from interp.errors import InputError, first_line
from interp.parts import Arrays, Work, each_part
from interp.progress import tell

FACTS = "activations.json"
PER_SHARD = 256  # sequences, a multiple of those of one pass
_UNFINISHED = ".unfinished-"  # in the name of a file that is being written
_SPARE = 0.05  # of the disk's free room that is left

#: The activations of some sequences at each site, [sequence, position, width].
Run = Callable[[Sequence[int]], list[Tensor]]


@dataclass(frozen=True)
class Shards:
    """Activations of `sequences` sequences at some sites, in a folder.

    `facts` say what they are, in JSON values. Raises `InputError` where the folder holds others, or cannot be
    read or written.
    """

    folder: Path
    sites: tuple[str, ...]
    widths: tuple[int, ...]
    sequences: int
    positions: int  # that are kept of each sequence
    dtype: torch.dtype
    facts: dict[str, Any]

    @property
    def bytes(self) -> int:
        """How much the disk must have room for, all shards together."""
        return self.sequences * self.positions * sum(self.widths) * self.dtype.itemsize

    def check(self) -> None:
        """Say how much there is to write, and raise `InputError` where the folder holds something else or its
        disk has no room."""
        self._check_facts()
        self._check_room()

    def write(self, run: Run) -> None:
        """Write the shards that are not there yet; `run` gives the activations of some sequences.

        Workers share in them (`interp.parts`); the folder must be one that all of them reach.
        """

        def compute(index: int) -> Arrays:
            if not self._file(index).exists():
                self._write(index, run)
            return {}

        def describe(index: int) -> str:
            return f"shard {index} of the activations"

        # all of them, so that every worker comes to the same work, however many are there by then
        each_part(Work(task="shards", total=self._n_shards, compute=compute, describe=describe))

    def _write(self, index: int, run: Run) -> None:
        """Write one shard."""
        chosen = range(index * PER_SHARD, min((index + 1) * PER_SHARD, self.sequences))
        found = {site: x.contiguous() for site, x in zip(self.sites, run(chosen), strict=True)}
        facts = json.dumps(self._described(), indent=2) + "\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / FACTS).exists():
                _in_one_step(self.folder / FACTS, lambda file: file.write_text(facts, encoding="utf-8"))
            _in_one_step(self._file(index), lambda file: save_file(found, file))
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"Activations cannot be kept in {str(self.folder)!r} ({first_line(error)})."
            ) from None

    def read(self, chosen: Sequence[int]) -> list[Float[Tensor, "token width"]]:
        """The activations of some sequences, one after the other, in float32."""
        out = [torch.empty(len(chosen), self.positions, width) for width in self.widths]
        by_shard: dict[int, list[int]] = {}
        for place, sequence in enumerate(chosen):
            by_shard.setdefault(sequence // PER_SHARD, []).append(place)
        try:
            for index, places in by_shard.items():
                with safe_open(self._file(index), framework="pt") as shard:
                    for site, x in zip(self.sites, out, strict=True):
                        stored = shard.get_slice(site)
                        for place in places:
                            number = chosen[place] % PER_SHARD
                            x[place] = stored[number : number + 1][0]
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"The activations in {str(self.folder)!r} cannot be read ({first_line(error)}); remove the "
                "damaged shard, and it is made again."
            ) from None
        return [x.flatten(0, 1) for x in out]

    def _file(self, index: int) -> Path:
        return self.folder / f"shard-{index:05}.safetensors"

    @property
    def _n_shards(self) -> int:
        return -(-self.sequences // PER_SHARD)

    def _missing(self) -> list[int]:
        """Which shards are not there yet."""
        return [i for i in range(self._n_shards) if not self._file(i).exists()]

    def _described(self) -> dict[str, Any]:
        described = {
            **self.facts,
            "sites": list(self.sites),
            "sequences": self.sequences,
            "positions": self.positions,
            "dtype": str(self.dtype).removeprefix("torch."),
            "sequences_of_a_shard": PER_SHARD,
        }
        return dict(json.loads(json.dumps(described)))  # as it is read back

    def _check_facts(self) -> None:
        """`InputError` where the folder holds something else."""
        file = self.folder / FACTS
        if not file.exists():
            if self.folder.exists() and any(_UNFINISHED not in one.name for one in self.folder.iterdir()):
                raise InputError(f"{str(self.folder)!r} holds other files; choose an empty folder.")
            return
        try:
            there = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{str(file)!r} cannot be read ({first_line(error)}).") from None
        described = self._described()
        other = [key for key in described if not isinstance(there, dict) or there.get(key) != described[key]]
        if other:
            raise InputError(
                f"{str(self.folder)!r} holds other activations, as the {other[0].replace('_', ' ')} says; "
                "choose another folder."
            )

    def _check_room(self) -> None:
        """`InputError` where the disk has no room for the shards that are missing."""
        needed = min(self.bytes, len(self._missing()) * PER_SHARD * self.bytes // self.sequences)
        place = next(one for one in (self.folder.absolute(), *self.folder.absolute().parents) if one.exists())
        free = shutil.disk_usage(place).free
        if needed > (1 - _SPARE) * free:
            raise InputError(
                f"The activations take {needed / 1e9:,.3g} GB, and the disk of {str(self.folder)!r} has "
                f"{free / 1e9:,.3g} GB free; choose another disk, less text or fewer layers."
            )
        if needed:
            tell(f"The activations take {needed / 1e9:,.3g} GB of the disk of {str(self.folder)!r}.")


def _in_one_step(file: Path, write: Callable[[Path], Any]) -> None:
    """Write a file elsewhere, and put it where it belongs when it is whole."""
    unfinished = file.with_name(f"{file.name}{_UNFINISHED}{uuid4().hex}")
    try:
        write(unfinished)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
