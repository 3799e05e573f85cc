"""The plan of a run: what it takes, on this machine and on one that is described.

    plan = interp.plan("activation_patching", {"task": "indirect_objects"}, model="gpt2-xl")
    print(plan.table())

The model's weights are not loaded: its configuration says how large it is, and the experiment is rehearsed
(`interp.plans.rehearsal`) for what it computes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import RenderableType

from interp.errors import InputError, ModelLoadError, check_choice, first_line
from interp.experiments.base import find_experiment
from interp.figures.engine.view import Table, View, Words
from interp.models.branching.sweep import ROWS_AT_ONCE
from interp.models.devices import DTYPES, find_dtype
from interp.models.sources import source_of
from interp.plans.machines import OVERHEAD, Devices, Here, Machine
from interp.plans.rehearsal import Work, rehearse
from interp.plans.shapes import Shape

SHARE = 0.9  # of a device's memory that is counted on
BACKWARD = 1.5  # a backward row, in forward rows: the same products, and what they are made of is kept


@dataclass(frozen=True)
class On:
    """The plan on one machine."""

    machine: str
    memory: float  # bytes of each device
    devices: int
    together: int  # devices that hold one copy of the model; 0: it does not fit
    copies: int  # workers at once
    seconds: float | None  # None: it does not fit
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an experiment takes on a model."""

    experiment: str
    model: str
    dtype: str
    parameters: int
    active: float  # parameters that a token meets
    n_layers: int
    parts: int
    rows: float  # positions that go through a layer
    backward_rows: float
    operations: float
    weights: float  # bytes
    packed: float  # bytes of the largest call of a layer
    logits: float  # bytes of the most that are held at once
    held: float  # bytes of cached activations
    on: tuple[On, ...]

    @property
    def memory(self) -> float:
        """Bytes of all at once."""
        return self.weights + self.packed + self.logits + self.held

    def view(self) -> View:
        amounts = (
            ("parameters", f"{self.parameters / 1e9:,.3g} B"),
            ("of these, for each token", f"{self.active / 1e9:,.3g} B"),
            ("parts, for as many workers at most", f"{self.parts:,}"),
            ("positions through one layer", f"{self.rows:,.3g}"),
            ("of these, backwards too", f"{self.backward_rows:,.3g}"),
            ("operations", f"{self.operations:.2e}"),
            (f"weights in {self.dtype}", size(self.weights)),
            ("the largest call of a layer", size(self.packed)),
            ("logits held at once", size(self.logits)),
            ("cached activations held at once", size(self.held)),
            ("memory in all", size(self.memory)),
        )
        places = tuple(
            (
                one.machine,
                f"{one.devices} x {size(one.memory)}",
                str(one.together or "none"),
                str(one.copies or "none"),
                "does not fit" if one.seconds is None else duration(one.seconds),
            )
            for one in self.on
        )
        notes = tuple(f"{one.machine}: {note}" for one in self.on for note in one.notes)
        return View(
            title=f"The plan of {self.experiment} on {self.model}",
            above=("Nothing was loaded but the configuration.",),
            blocks=(
                Table(("", "amount"), amounts, name="amounts"),
                Table(
                    ("machine", "devices", "for one copy", "copies at once", "time"), places, name="machines"
                ),
                *(Words(note) for note in notes),
            ),
        )

    def table(self) -> RenderableType:
        from interp.figures.engine.view_terminal import renderable

        return renderable(self.view(), notes=[])


def plan(
    experiment: str,
    config: Mapping[str, Any] | None = None,
    *,
    model: str | None = None,
    dtype: str | None = None,
    tokenizer: str | None = None,
    gpus: int = 0,
    gpu_memory: float = 80.0,
    gpu_rate: float = 300.0,
    gpu_bandwidth: float = 2000.0,
    here: bool = True,
) -> Plan:
    """Plan an experiment.

    Args:
        config: keys of its configuration; the rest has its defaults.
        model: instead of that of the configuration: also a JSON file with a model's configuration alone.
        dtype: instead of that of the configuration.
        tokenizer: of which model prompts are counted in tokens, where `model` has none here.
        gpus, gpu_memory, gpu_rate, gpu_bandwidth: devices to plan for, GB of each, and of each the TFLOP/s
            and GB/s that it reaches in practice.
        here: whether this machine is measured and planned for.

    Raises `InterpError` for what no experiment, configuration or model is, and for what cannot be rehearsed.
    """
    found = find_experiment(experiment)
    values = dict(config or {})
    name = model or values.get("model") or found.config.model_fields["model"].default
    chosen = dtype or values.get("dtype") or "float32"
    check_choice("dtype", chosen, DTYPES)
    if gpus < 0 or not min(gpu_memory, gpu_rate, gpu_bandwidth) > 0:
        raise InputError("GPUs, their memory, rate and bandwidth are numbers above 0.")
    resolved = found.make_config({key: value for key, value in values.items() if key != "model"})
    shape = Shape.of(str(name), revision=resolved.revision)
    work = rehearse(found, resolved, shape, _tokenizer(tokenizer or str(name)))
    torch_dtype = find_dtype(chosen, torch.device("cpu"))
    return _planned(
        found.name,
        shape,
        work,
        torch_dtype,
        here=here,
        gpus=(gpus, gpu_memory * 1e9, gpu_rate * 1e12, gpu_bandwidth * 1e9),
    )


def _planned(
    experiment: str,
    shape: Shape,
    work: Work,
    dtype: torch.dtype,
    *,
    here: bool,
    gpus: tuple[int, float, float, float],
) -> Plan:
    width, arch = dtype.itemsize, shape.arch
    n_pos = max(2, round(work.n_pos))
    operations = (work.rows + work.backward_rows) * shape.operations_per_row(work.n_pos)
    operations += work.read_out * 2 * arch.d_model
    sizes = {
        "weights": shape.parameters * width,
        "packed": packed_bytes(shape, min(work.most_rows, ROWS_AT_ONCE), n_pos, width),
        "logits": 3.0 * work.most_logits * max(width, 4),
        "held": work.most_held * width,
    }
    need = sum(sizes.values())
    places: list[On] = []
    if here:
        places.append(
            _on(Here.measured(shape, dtype=dtype, n_pos=n_pos), shape, work, sizes["weights"], need)
        )
    if gpus[0]:
        n, memory, rate, bandwidth = gpus
        devices = Devices(
            name=f"{n} GPUs of {memory / 1e9:g} GB, at {rate / 1e12:g} TFLOP/s and {bandwidth / 1e9:g} GB/s",
            memory=memory,
            devices=n,
            rate=rate,
            bandwidth=bandwidth,
            operations_per_row=shape.operations_per_row(work.n_pos),
            layer_bytes=shape.layer_parameters * width,
            d_model=arch.d_model,
        )
        places.append(_on(devices, shape, work, sizes["weights"], need))
    return Plan(
        experiment=experiment,
        model=shape.name,
        dtype=str(dtype).removeprefix("torch."),
        parameters=shape.parameters,
        active=shape.parameters - arch.n_layers * (shape.layer_parameters - shape.active_parameters),
        n_layers=arch.n_layers,
        parts=work.parts,
        rows=work.rows,
        backward_rows=work.backward_rows,
        operations=operations,
        on=tuple(places),
        **sizes,
    )


def seconds(machine: Machine, work: Work) -> float:
    """How long one worker takes for all of it."""
    forward = sum(calls * machine.layer(rows) for rows, calls in work.forward)
    backward = BACKWARD * sum(calls * machine.layer(rows) for rows, calls in work.backward)
    runs = work.passes * machine.once() + machine.read_out(work.read_out)
    return forward + backward + runs + work.beside


def _on(machine: Machine, shape: Shape, work: Work, weights: float, need: float) -> On:
    room = SHARE * machine.memory
    beside = need - weights
    notes = []
    together = math.ceil(weights / max(room - beside, 1.0)) if beside < room else 0
    if together > shape.arch.n_layers or together > machine.devices:
        notes += _changes(machine, shape, weights, beside, together)
        together = 0
    elif not together:
        notes.append(
            f"what lies beside the weights, {size(beside)}, does not fit into one device; take shorter "
            "prompts, a smaller batch_size, or a smaller `memory` for sweeps"
        )
    copies = min(machine.devices // together, work.parts) if together else 0
    if together > 1:
        notes.append(
            f"the layers of one copy lie on {together} devices (device_map='auto'), of which one computes at "
            "a time"
        )
    if copies > 1:
        notes.append(f"{copies} workers at once: --on ray --gpus-per-worker {together}")
    elif together and machine.devices > 1 and work.parts == 1:
        notes.append("this is one part, which one worker computes")
    if isinstance(machine, Devices):
        notes.append(
            f"the rate and the bandwidth are assumed, and {1000 * OVERHEAD:g} ms for each call of a layer"
        )
    time = seconds(machine, work) * math.ceil(work.parts / max(copies, 1)) / work.parts
    return On(
        machine=machine.name,
        memory=machine.memory,
        devices=machine.devices,
        together=together,
        copies=copies,
        seconds=time if together else None,
        notes=tuple(notes),
    )


def _changes(machine: Machine, shape: Shape, weights: float, beside: float, together: int) -> list[str]:
    """What would make a model fit."""
    room = SHARE * machine.memory
    notes = [f"the weights, {size(weights)}, do not fit into {machine.devices} x {size(machine.memory)}"]
    if together <= shape.arch.n_layers:
        notes.append(f"{together} such devices would hold them, layer by layer (device_map='auto')")
    for name, bytes_each in (("bfloat16", 2.0), ("8-bit", 1.0), ("4-bit", 0.5)):
        smaller = shape.parameters * bytes_each
        if smaller < weights and smaller + beside < room * machine.devices:
            notes.append(f"in {name} they would take {size(smaller)}, and fit")
            break
    else:
        notes.append("on the disk (device_map='auto', offload_folder=...) they would be read for each run")
    return notes


def packed_bytes(shape: Shape, rows: int, n_pos: int, width: int) -> float:
    """Bytes of one call of a layer with so many rows, as `interp.models.memory` counts them."""
    arch = shape.arch
    heads, kv_heads = arch.n_heads * arch.d_head, arch.n_kv_heads * arch.d_head
    attention = 3 * heads + 2 * kv_heads
    mlp = 3 * (arch.d_mlp or 4 * arch.d_model)
    per_row = width * (6 * arch.d_model + attention + mlp) + 3 * arch.n_heads * n_pos * max(width, 4)
    branches = max(1, rows / n_pos)
    return rows * per_row + branches * 2 * width * n_pos * (kv_heads + heads)


def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    if name.endswith(".json"):
        raise InputError("A configuration alone has no tokenizer; name a model that has one: --tokenizer.")
    try:
        return AutoTokenizer.from_pretrained(source_of(name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelLoadError(
            f"There is no tokenizer of {name!r} here ({first_line(error)}); name another's: --tokenizer."
        ) from None


def size(amount: float) -> str:
    """Bytes for people."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if amount >= factor:
            return f"{amount / factor:.3g} {unit}"
    return f"{amount / 1e3:.3g} kB"


def duration(time: float) -> str:
    """Seconds for people."""
    for unit, factor in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if time >= 2 * factor:
            return f"{time / factor:.3g} {unit}"
    return f"{time:.3g} s"
