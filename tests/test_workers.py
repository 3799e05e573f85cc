"""Parts computed by several workers: the same numbers, whoever computes them, and whoever dies of it."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from conftest import run
from crews import Threads
from interp.errors import InputError, InterpError, InterpWarning, ModelLoadError, RunError
from interp.models.base import Model
from interp.parts import Arrays, Work, each_part
from interp.progress import listening
from interp.resume import Folder, kept, resuming
from interp.runs import read_run
from interp.saes import shards
from interp.saes.recipe import Recipe
from interp.workers.coordinator import Coordinator
from interp.workers.jobs import Models
from interp.workers.messages import Begin, Free
from interp.workers.worker import Worker

Load = Callable[..., Model]
COUNTRIES = ["France", "Italy", "Spain", "Germany"]
PAIRS: dict[str, Any] = {
    "clean": [f"The capital of {country} is" for country in COUNTRIES],
    "corrupted": ["The capital of Japan is"] * 4,
    "answer": [" Paris", " Rome", " Madrid", " Berlin"],
    "foil": " Tokyo",
}


@dataclass
class Squares:
    """A job of two stages: squares of numbers, kept by a question each, and then the doubles of their sum."""

    n: int = 6
    fails: Callable[[int], None] = lambda _: None
    between: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def run(self, models: Models) -> list[float]:
        self.between()
        squares = self.stage("squares", self.square)
        total = sum(float(part["value"]) for part in squares)
        doubles = self.stage("doubles", lambda i: {"value": np.array(2.0 * total + i)})
        self.after()
        return [float(part["value"]) for part in (*squares, *doubles)]

    def stage(self, task: str, compute: Callable[[int], Arrays]) -> Sequence[Arrays]:
        return each_part(Work(task=task, total=self.n, compute=compute, describe=lambda i: f"the number {i}"))

    def square(self, index: int) -> Arrays:
        self.fails(index)
        return kept({"square of": index}, lambda: {"value": np.array(float(index**2))})

    @property
    def right(self) -> list[float]:
        squares = [float(i**2) for i in range(self.n)]
        return squares + [2 * sum(squares) + i for i in range(self.n)]


def parts_of(folder: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in folder.glob("*.npz")}


# ---- the same numbers ----


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_parts_come_back_in_their_order_and_each_is_computed_once(workers: int, tmp_path: Path) -> None:
    crew = Threads(workers)
    seen: list[tuple[str, int, int]] = []
    with resuming(tmp_path), listening(lambda *event: seen.append(event)):
        assert crew.do(Squares()) == Squares().right == Squares().run({})
    assert sorted(index for _, index in crew.computed) == sorted([*range(6), *range(6)])
    once = [("squares", done, 6) for done in range(7)] + [("doubles", done, 6) for done in range(7)]
    assert seen[: len(once)] == once, "one bar for each stage, whoever computes"
    assert len(parts_of(tmp_path)) == 6, "the doubles have no question, and are not kept"


@pytest.mark.parametrize("experiment", ["activation_patching", "path_patching", "ablation", "faithfulness"])
def test_a_method_gives_the_same_to_the_last_bit_with_any_number_of_workers(
    experiment: str, load: Load
) -> None:
    model = load("demo-gpt2")
    whole, calls = _asked(experiment, model)
    for workers in (1, 3):
        found = Threads(workers).run(calls[0], model, *calls[1], **calls[2])
        assert found.equals(whole), f"{experiment} by {workers} workers"


def _asked(experiment: str, model: Model) -> tuple[Any, tuple[Any, tuple[Any, ...], dict[str, Any]]]:
    """What a single process gives, and the call."""
    if experiment == "activation_patching":
        call: Any = (interp.activation_patching, (), PAIRS)
    else:
        dataset = interp.make_dataset("indirect_objects", model, n=4)
        call = (getattr(interp, experiment), (dataset,), {})
        if experiment == "ablation":
            call = (*call[:2], {"what": ["a1.h1", "m2"], "kinds": ["mean", "resample", "noise"]})
        elif experiment == "faithfulness":
            circuit = interp.Circuit.of(model, ["a1.h1", "a2.h0", "m1"])
            call = (interp.faithfulness, (dataset, circuit), {"n_random": 2})
    return call[0](model, *call[1], **call[2]), call


def test_what_is_kept_outside_of_parts_is_made_once_for_all(tmp_path: Path) -> None:
    made: list[int] = []

    def between() -> None:
        made.append(int(kept({"first": 1}, lambda: {"x": np.array(len(made))})["x"]))

    with resuming(tmp_path):
        Threads(3).do(Squares(between=between))
    assert made == [0, 0, 0]


def test_only_one_worker_goes_on_behind_the_last_part() -> None:
    ends: list[int] = []
    crew = Threads(4)
    crew.do(Squares(after=lambda: ends.append(1)))
    assert ends == [1]
    assert crew.do(Squares(n=3)) == Squares(n=3).right, "the others are there for the next job"


# ---- workers die ----


def test_a_worker_that_dies_costs_the_part_that_it_was_at(tmp_path: Path) -> None:
    left = [2, 3]  # whoever is first at one of these
    crew = Threads(2, dies=lambda _, part: part in left and not left.remove(part))
    with resuming(tmp_path):
        assert crew.do(Squares()) == Squares().right
    squares = [index for _, index in crew.computed][:8]
    assert sorted(squares) == [0, 1, 2, 2, 3, 3, 4, 5], "two in flight twice, no other"
    assert crew.started == 4


def test_a_part_that_kills_whoever_computes_it_is_given_up_and_named(tmp_path: Path) -> None:
    crew = Threads(2, dies=lambda _, part: part == 4)
    with resuming(tmp_path), pytest.raises(RunError) as raised:
        crew.do(Squares())
    assert str(raised.value) == (
        "1 of 6 squares could not be computed, the other 5 were; those are kept, and not computed again. "
        "squares 5 of 6, the number 4: 3 workers have died of it (killed by signal 9)."
    )
    assert len(parts_of(tmp_path)) == 5


def test_workers_that_die_before_anything_is_computed_end_the_job() -> None:
    with pytest.raises(RunError, match=r"die before they have computed anything \(killed by signal 9\)"):
        Threads(1, dies=lambda *_: True).do(Squares(n=30))


# ---- parts fail ----


def test_a_part_that_fails_everywhere_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    def fails(index: int) -> None:
        if index == 1:
            raise InputError("This number is not for squaring.")
        if index == 3:
            raise ValueError("odd\nsecond line")

    crew = Threads(3)
    with resuming(tmp_path), pytest.raises(RunError) as raised:
        crew.do(Squares(fails=fails))
    assert str(raised.value) == (
        "2 of 6 squares could not be computed, the other 4 were; those are kept, and not computed again. "
        "squares 2 of 6, the number 1: This number is not for squaring; "
        "squares 4 of 6, the number 3: ValueError: odd."
    )
    tried = [who for who, index in crew.computed if index == 1]
    assert len(tried) == len(set(tried)) == 2, "on another worker, too, and then no more"
    kept_then = parts_of(tmp_path)
    with resuming(tmp_path):
        assert Threads(2).do(Squares()) == Squares().right
    assert {file: parts_of(tmp_path)[file] for file in kept_then} == kept_then, "none was written again"


def test_a_part_that_fails_on_one_worker_alone_is_computed_by_another() -> None:
    once: list[int] = []

    def fails(index: int) -> None:
        if index == 2 and not once:
            once.append(index)
            raise MemoryError

    assert Threads(2).do(Squares(fails=fails)) == Squares().right


def test_errors_outside_of_parts() -> None:
    """A user's mistake ends the job; what is wrong with one machine ends its worker, and the others go on."""
    firsts: list[int] = []

    def wrong() -> None:
        raise InputError("Unknown site.")

    def missing() -> None:
        firsts.append(1)
        if len(firsts) == 1:
            raise ModelLoadError("There is no folder here.")

    def always() -> None:
        raise ModelLoadError("There is no folder anywhere.")

    with pytest.raises(InputError, match="Unknown site"):
        Threads(3).do(Squares(between=wrong))
    assert Threads(2).do(Squares(between=missing)) == Squares().right
    with pytest.raises(ModelLoadError, match="anywhere"):
        Threads(2).do(Squares(between=always))


def test_workers_that_disagree_about_the_work_are_told_apart() -> None:
    sizes = iter((4, 6))

    @dataclass
    class Differing(Squares):
        def run(self, models: Models) -> list[float]:
            return Squares(n=next(sizes)).run(models)

    with pytest.raises(RunError, match="same version of everything"):
        Threads(2).do(Differing())


def test_warnings_of_workers_reach_the_driver_once() -> None:
    def warn() -> None:
        warnings.warn("Look at this.", InterpWarning, stacklevel=1)

    first = Worker().talk(Begin(1, Squares(between=warn)))
    assert isinstance(first, Free)
    assert first.warnings == ("Look at this.",)
    coordinator = Coordinator(None)
    coordinator.joined([1, 2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        coordinator.heard(1, first)
        coordinator.heard(2, first)
    assert [str(one.message) for one in caught] == ["Look at this."]


# ---- what is kept, by methods that did not keep ----


def test_parts_of_ablations_and_circuits_are_found_again(load: Load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    for experiment in ("ablation", "faithfulness"):
        folder = tmp_path / experiment
        _, call = _asked(experiment, model)
        with resuming(folder):
            first = call[0](model, *call[1], **call[2])
            then = parts_of(folder)
            again = call[0](model, *call[1], **call[2])
        assert then
        assert parts_of(folder) == then
        assert again.equals(first)
        with resuming(folder):
            call[0](model, *call[1], **(call[2] | {"metric": "prob"}))
        assert len(parts_of(folder)) >= 2 * 4, "another question"


# ---- processes ----


@pytest.mark.slow
def test_processes_give_what_one_process_gives_though_one_is_killed(load: Load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    whole = interp.activation_patching(model, **PAIRS)
    killed: list[int] = []
    with interp.on_processes(workers=2) as crew, resuming(tmp_path):

        def kill_one(task: str, done: int, total: int) -> None:
            if done == 1 and not killed:
                killed.append(crew.pids[0])
                os.kill(killed[0], signal.SIGKILL)

        with listening(kill_one):
            found = crew.run(interp.activation_patching, model, **PAIRS)
        assert killed
        assert killed[0] not in crew.pids
        assert found.equals(whole)
        assert len(parts_of(tmp_path)) == 4
        again = crew.run(interp.activation_patching, model, **PAIRS)  # a second job, from what is kept
        assert again.equals(whole)
    assert not crew.pids


@pytest.mark.slow
def test_a_run_on_processes_is_the_run_of_one_process(tmp_path: Path) -> None:
    options = ["--set", "n=6", "--set", "self_check=false", "--out", tmp_path]
    assert run("run", "path_patching", "--tag", "one", *options) == 0
    assert run("run", "path_patching", "--tag", "two", "--on", "processes", "--workers", "2", *options) == 0
    one, two = (read_run(tmp_path / "path_patching" / tag) for tag in ("one", "two"))
    assert two.result.equals(one.result)
    assert two.config == one.config
    assert not list(tmp_path.glob("*/.*")), "no parts are left"


def test_what_is_no_number_of_workers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(InterpError, match="workers must be a whole number"):
        interp.on_processes(workers=0)
    assert run("run", "logit_lens", "--workers", "2", "--out", tmp_path) == 2
    assert "Workers are for --on" in capsys.readouterr().err
    assert Folder(tmp_path).find("nothing") is None


# ---- what is fitted and trained ----


@pytest.mark.parametrize("workers", [1, 3])
def test_a_jacobian_lens_is_fitted_in_parts_to_the_last_bit(workers: int, load: Load) -> None:
    model = load("tiny-gpt2")
    text = np.random.default_rng(0).integers(0, 256, (12, 8)).tolist()
    lens, curve = interp.fit_jacobian_lens(model, text, skip_first=2)
    crew = Threads(workers)
    other, other_curve = crew.run(interp.fit_jacobian_lens, model, text, skip_first=2)
    assert torch.equal(lens.jacobian, other.jacobian)
    assert torch.equal(lens.error, other.error)
    assert curve.equals(other_curve)
    assert sorted(part for _, part in crew.computed) == list(range(12)), "each prompt is a part here, once"


def test_a_fit_that_stops_early_stops_at_the_same_prompt(load: Load) -> None:
    model = load("tiny-gpt2")
    text = np.random.default_rng(0).integers(0, 256, (12, 8)).tolist()
    _, curve = interp.fit_jacobian_lens(model, text, skip_first=2)
    wanted = float(curve.error[6].max())
    lens, _ = interp.fit_jacobian_lens(model, text, skip_first=2, error=wanted)
    other, _ = Threads(2).run(interp.fit_jacobian_lens, model, text, skip_first=2, error=wanted)
    assert lens.n_prompts == other.n_prompts < 12
    assert torch.equal(lens.jacobian, other.jacobian)


@pytest.mark.parametrize("buffered", [256, 32])
def test_a_dictionary_is_trained_on_activations_of_several_workers(buffered: int, load: Load) -> None:
    """The same weights to the last bit, whatever their number, where the buffer holds the text or not."""
    model = load("tiny-gpt2")
    text = np.random.default_rng(0).integers(0, 256, (64, 8)).tolist()
    recipe = Recipe(n_features=48, k=4, steps=12)
    options: dict[str, Any] = {"batch_size": 64, "buffered": buffered}
    sae, losses = interp.train_sae(model, "resid_post", 0, text, recipe, **options)
    for workers in (1, 3):
        crew = Threads(workers)
        other, other_losses = crew.run(interp.train_sae, model, "resid_post", 0, text, recipe, **options)
        assert torch.equal(sae.W_dec, other.W_dec)
        assert torch.equal(sae.W_enc, other.W_enc)
        np.testing.assert_array_equal(losses, other_losses)
        passes = min(64, buffered) // 16
        assert sorted(part for _, part in crew.computed)[-1] == passes - 1, "passes are shared out"


def test_several_workers_write_the_shards_of_a_training(load: Load, tmp_path: Path, monkeypatch) -> None:
    """Of a text that no buffer holds, each part once, and the same weights to the last bit."""
    monkeypatch.setattr(shards, "PER_SHARD", 16)
    model = load("tiny-gpt2")
    text = np.random.default_rng(0).integers(0, 256, (64, 8)).tolist()
    recipe = Recipe(n_features=48, k=4, steps=12)
    options: dict[str, Any] = {"batch_size": 64, "buffered": 32}
    run = (interp.train_sae, model, "resid_post", 0, text, recipe)
    sae, _ = interp.train_sae(*run[1:], **options, shards=tmp_path / "one")
    for workers in (1, 3):
        crew, folder = Threads(workers), tmp_path / f"of {workers}"
        other, _ = crew.run(*run, **options, shards=folder)
        assert torch.equal(sae.W_dec, other.W_dec)
        assert sorted(part for _, part in crew.computed if part) == [1, 2, 3], "each shard once"
        assert sorted(file.name for file in folder.iterdir()) == [
            "activations.json", *(f"shard-0000{i}.safetensors" for i in range(4))
        ]  # fmt: skip
        again, _ = Threads(workers).run(*run, **options, shards=folder)  # nothing is left to write
        assert torch.equal(sae.W_dec, again.W_dec)
