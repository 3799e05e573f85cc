"""A method over the checkpoints of a training: when does it come?

    interp.over_checkpoints(
        "head_scores", "checkpoints/demo-gpt2", read={"induction": "attention.2.max"}, settings={"n": 4}
    )

Each checkpoint is loaded, asked, and let go before the next one: one model is in memory at a time, beside the
one, if any, that they are held against. A checkpoint is a folder as transformers saves it, or a revision of a
model on the hub (``EleutherAI/pythia-70m@step1000``). Steps are read off the end of its name (``step1000``).

When it misleads: a number that first rises between two checkpoints rose somewhere between them; and the
largest of many scores is above 0 in an untrained model, too.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from interp.errors import InputError
from interp.methods.comparison.comparable import Shape, check_comparable
from interp.methods.comparison.reading import Number, as_number, number_at
from interp.methods.comparison.results import OverCheckpointsResult
from interp.models.base import Model
from interp.models.names import KNOWN
from interp.models.registry import load_model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Estimate, Interval, Result
from interp.resume import kept

#: What a function of a model may give: a result, of which numbers are read, or the numbers by name.
Measures = Result | Mapping[str, float | Interval | Estimate]
_STEP = re.compile(r"(?:^|step|checkpoint|ckpt|iter)[-_]?(\d+)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of each checkpoint: an experiment by its name, with its `settings`, or a function of a
    model; and which numbers are read of its result, each by a name ("panel: line", or one for both) and a
    path (`interp.methods.comparison.reading`). A function that gives numbers by name needs no paths."""

    run: str | Callable[[Model], Measures]
    read: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.run if isinstance(self.run, str) else getattr(self.run, "__name__", "a function")

    def function(self) -> Callable[[Model], Measures]:
        """It as a function of a model. `ConfigError` for an experiment or a setting that is not there."""
        if not isinstance(self.run, str):
            return self.run
        found = import_module("interp.experiments.base").find_experiment(self.run)
        if not self.read:
            raise InputError(f"Say which numbers of {self.run} are to be read, each by a name and a path.")
        config = found.make_config(dict(self.settings))
        return lambda model: found.run(config, model)

    def numbers(self, found: Measures) -> dict[str, Number]:
        """What is read of it, by name."""
        if isinstance(found, Result):
            return {name: number_at(found, path) for name, path in self.read.items()}
        return {name: as_number(value, name) for name, value in found.items()}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a checkpoint is: a folder, or a revision on the hub."""

    source: str
    revision: str | None
    label: str

    @property
    def step(self) -> float | None:
        """The number at the end of its name: of ``step1000``, ``checkpoint-1000`` or ``1000``, not of
        ``gpt2``."""
        match = _STEP.search(self.label)
        return float(match[1]) if match else None

    @property
    def key(self) -> list[Any]:
        """What tells its weights from others without reading them: of a folder, the sizes and dates of its
        files."""
        files = sorted(Path(self.source).glob("*")) if self.revision is None else []
        stats = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
        return [str(Path(self.source).resolve()) if files else self.source, self.revision, *map(list, stats)]


def over_checkpoints(
    run: str | Callable[[Model], Measures] | Sequence[Asked],
    checkpoints: str | Path | Sequence[str | Path],
    *,
    read: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    model: Model | None = None,
    steps: Sequence[float] | None = None,
    load: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> OverCheckpointsResult:
    """Ask the same of every checkpoint of a training.

    Args:
        run: an experiment's name, a function of a model, or several of both as `Asked`.
        checkpoints: folders, hub revisions (``id@revision``; ``@revision`` of `model`) and models of a short
            name; or one folder with a checkpoint in each of its folders.
        read, settings: of a single `run`; see `Asked`.
        model: what the checkpoints are held against, such as the trained model; it is asked, too.
        steps: of training, for checkpoints whose names do not end in theirs.
        load: how `interp.load_model` loads each, such as ``{"dtype": "bfloat16"}``.
        seed: what the result says it was run with, and the ``seed`` of experiments whose settings have none.

    Within `interp.resume.resuming`, experiments are not run again on checkpoints that were done before it was
    stopped; functions are, as it cannot be told whether they are the same.

    Raises `InputError` for a folder that is no checkpoint, checkpoints of different architecture or
    vocabulary, and paths that lead to no number.
    """
    asked: list[Asked]
    if isinstance(run, str) or callable(run):
        asked = [Asked(run=run, read=read or {}, settings=settings or {})]
    elif read or settings:
        raise InputError("Of several things that are asked, each has its own read and settings.")
    else:
        asked = list(run)
    if not asked:
        raise InputError("Nothing is asked of the checkpoints; give an experiment or a function.")
    functions = [_seeded(one, seed).function() for one in asked]
    found = find_checkpoints(checkpoints, model)
    at = _steps(found, steps)
    order = np.argsort(at, kind="stable")
    work = _Work(asked, functions, dict(load or {}), seed)
    if model is not None:
        work.shape = Shape.of(model)
    rows = []
    for done, i in enumerate(order):
        report("checkpoints", done, len(found))
        rows.append(work.of(found[i]))
    report("checkpoints", len(found), len(found))
    final = {} if model is None else work.ask(model)
    names = list(rows[0])
    numbers = np.array([[row[name] for name in names] for row in rows])  # [checkpoint, measure, 3]
    provenance = work.provenance(found[int(order[-1])]) if model is None else Provenance.of(model, seed=seed)
    return OverCheckpointsResult(
        provenance=provenance,
        checkpoints=tuple(found[i].label for i in order),
        steps=at[order],
        in_steps=steps is not None or all(one.step is not None for one in found),
        measures=tuple(names),
        made_by=tuple(_made_by(asked, name) for name in names),
        values=numbers[..., 0],
        low=numbers[..., 1],
        high=numbers[..., 2],
        final="" if model is None else model.identity.name,
        final_values=np.array([final[name][0] for name in names] if final else []),
    )


class _Work:
    """Loads one checkpoint after the other and asks it."""

    def __init__(
        self,
        asked: Sequence[Asked],
        functions: Sequence[Callable[[Model], Measures]],
        load: dict[str, Any],
        seed: int,
    ) -> None:
        self.asked, self.functions, self.load, self.seed = asked, functions, load, seed
        self.shape: Shape | None = None  # which all must have
        self.last: Provenance | None = None

    def of(self, checkpoint: Checkpoint) -> dict[str, Number]:
        """The numbers of one checkpoint, or those that were kept."""
        if not all(isinstance(one.run, str) for one in self.asked):
            return self.loaded(checkpoint)
        question = {
            "over_checkpoints": [[one.run, dict(one.read), dict(one.settings)] for one in self.asked],
            "checkpoint": checkpoint.key,
            "load": self.load,
            "seed": self.seed,
        }
        names = [name for one in self.asked for name in one.read]

        def make() -> dict[str, np.ndarray]:
            numbers = self.loaded(checkpoint)
            return {"numbers": np.array([numbers[name] for name in names])}

        rows = kept(question, make)["numbers"]
        return {name: (float(a), float(b), float(c)) for name, (a, b, c) in zip(names, rows, strict=True)}

    def loaded(self, checkpoint: Checkpoint) -> dict[str, Number]:
        """The numbers of one checkpoint, which is let go."""
        model = load_model(checkpoint.source, revision=checkpoint.revision, **self.load)
        try:
            shape = Shape.of(model)
            check_comparable(self.shape or shape, shape)
            self.shape = self.shape or shape
            self.last = Provenance.of(model, seed=self.seed)
            return self.ask(model)
        finally:
            del model
            gc.collect()

    def ask(self, model: Model) -> dict[str, Number]:
        """All numbers of a model by their names; `InputError` where two have one name."""
        found: dict[str, Number] = {}
        for one, function in zip(self.asked, self.functions, strict=True):
            for name, number in one.numbers(function(model)).items():
                if name in found:
                    raise InputError(f"Two numbers are called {name!r}; give each a name of its own.")
                found[name] = number
        if not found:
            raise InputError("No number is read; give paths, or a function that gives numbers by name.")
        return found

    def provenance(self, checkpoint: Checkpoint) -> Provenance:
        """That of the checkpoint loaded last; loaded now where all numbers had been kept."""
        if self.last is None:
            model = load_model(checkpoint.source, revision=checkpoint.revision, **self.load)
            self.last = Provenance.of(model, seed=self.seed)
        return self.last


def find_checkpoints(
    given: str | Path | Sequence[str | Path], model: Model | None = None
) -> list[Checkpoint]:
    """The checkpoints that are named, none of them loaded. `InputError` where a folder is not there or holds
    none, or one is named twice."""
    several = [given] if isinstance(given, str | Path) else list(given)
    if len(several) == 1 and "@" not in str(several[0]):
        folder = Path(several[0]).expanduser()
        if folder.is_dir() and not (folder / "config.json").is_file():
            several = [
                one
                for one in sorted(folder.iterdir())
                if not one.name.startswith(".") and (one / "config.json").is_file()
            ]
            if not several:
                raise InputError(f"No folder in {str(folder)!r} holds a config.json; give checkpoints.")
    if not several:
        raise InputError("There is no checkpoint; give folders, or revisions on the hub as id@revision.")
    found = [_checkpoint(str(one), model) for one in several]
    places = [(one.source, one.revision) for one in found]
    if len(set(places)) < len(places):
        raise InputError("A checkpoint is named twice; name each once.")
    if len({one.label for one in found}) < len(found):  # such as runs/a/step0 and runs/b/step0
        found = [
            Checkpoint(source=one.source, revision=one.revision, label=text)
            for one, text in zip(found, map(str, several), strict=True)
        ]
    return found


def _checkpoint(text: str, model: Model | None) -> Checkpoint:
    folder = Path(text).expanduser()
    if (folder / "config.json").is_file():
        return Checkpoint(source=str(folder), revision=None, label=folder.name)
    if text in KNOWN:
        return Checkpoint(source=text, revision=None, label=text)
    name, at, revision = text.rpartition("@")
    if not at or not revision:
        raise InputError(
            f"{text!r} is no checkpoint: neither a folder with a config.json nor a revision on the hub, as "
            "id@revision."
        )
    if not name and model is None:
        raise InputError(f"{text!r} says a revision, but not of which model; write it as id@revision.")
    return Checkpoint(source=name or model.identity.name, revision=revision, label=revision)  # type: ignore[union-attr]


def _steps(found: Sequence[Checkpoint], given: Sequence[float] | None) -> np.ndarray:
    if given is not None and len(given) != len(found):
        raise InputError(f"There are {len(found)} checkpoints and {len(given)} steps; give one for each.")
    steps: Sequence[float | None] = list(given) if given is not None else [one.step for one in found]
    if any(step is None for step in steps):
        return np.arange(len(found), dtype=float)
    at = np.array(steps, dtype=float)
    if len(set(at.tolist())) < len(at):
        raise InputError("Two checkpoints have the same step; give the steps of all.")
    return at


def _seeded(one: Asked, seed: int) -> Asked:
    """An experiment with the seed of the whole, where its settings have none."""
    if not isinstance(one.run, str):
        return one
    return Asked(run=one.run, read=one.read, settings={"seed": seed, **one.settings})


def _made_by(asked: Sequence[Asked], name: str) -> str:
    one = next((one for one in asked if name in one.read), asked[-1])
    return f"{one.name}: {one.read[name]}" if name in one.read else one.name
