"""Fitting a Jacobian lens, beside the reference's algorithm: time to the same error and to the same KL.

    python bench/jacobian_lens.py [--threads 2] [--models demo-gpt2 gemma-3-270m] [--write]

The reference's algorithm stands here as plainly as it is: for each prompt, a forward pass of the prompt in
`DIM_BATCH` copies, logits included, and a backward pass for every `DIM_BATCH` dimensions of the stream, with
a one-hot cotangent at all target positions, to the stream after each layer. Its prompts have 128 tokens, and
so have those of `interp.fit_jacobian_lens` beside it; then it is given shorter ones, and, where the
machine multiplies it in hardware, the model in bfloat16.

After each prompt are measured: the time so far, the distance to a matrix of other prompts (of the same
length, as a share of its norm, mean over layers), and the mean KL over layers of the model's prediction from
the lens's, on held-out text of 128 tokens. A lens is good enough where its KL is at most 2 % above that of
the reference's last prompt; the table says when that is so for the first time and stays so. A model of
GPT-2-small dimensions has random weights: it has a time for a prompt, and nothing else.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from tables import put
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

import interp
from interp.methods.lens.jacobian_lens import JacobianLens
from interp.methods.lens.lens import streams_of_tokens
from interp.models.devices import find_dtype
from interp.readout import kl_divergence
from interp.text.sequences import load_text

DIM_BATCH, LENGTH, SKIP = 8, 128, 16
#: Ours: the length of the prompts, their skipped positions, and what the model computes in.
OURS = (
    (LENGTH, SKIP, "float32"),
    (LENGTH, SKIP, "bfloat16"),
    (16, 4, "float32"),
    (16, 4, "bfloat16"),
    (8, 2, "float32"),
    (8, 2, "bfloat16"),
)


@dataclass(frozen=True)
class Setting:
    """What is fitted on: the text, tokens for each fit, prompts of the matrix that counts as true; and every
    how many of the held-out tokens is judged."""

    text: str
    tokens: int
    true: int
    every: int = 1


SETTINGS = {
    "demo-gpt2": Setting("demo", 512, 4),
    "demo-qwen3": Setting("demo", 512, 4),
    "gpt2-dimensions": Setting("", 128, 0),
    "gemma-3-270m": Setting("docs/methodology.md", 256, 2, every=8),
}


@dataclass(frozen=True)
class Point:
    """Where a fit is after some prompts; seconds of the clock and of the processor."""

    prompts: int
    clock: float
    processor: float
    error: float
    kl: float


def reference(model: interp.Model, prompts: list[list[int]], skip: int) -> Iterator[Tensor]:
    """Each prompt's Jacobians [layer, out, in], as the reference computes them."""
    hf_model: Any = model.hf_model
    d, n = model.arch.d_model, model.arch.n_layers
    for parameter in hf_model.parameters():
        parameter.requires_grad_(False)
    for ids in prompts:
        found = torch.zeros(n - 1, d, d)
        streams: dict[int, Tensor] = {}
        layers = list(model.layers)  # type: ignore[attr-defined]
        handles = [layer.register_forward_hook(_keep(i, streams)) for i, layer in enumerate(layers)]
        with torch.enable_grad():
            hf_model(input_ids=torch.tensor([ids] * DIM_BATCH), use_cache=False)
        for handle in handles:
            handle.remove()
        sources = [streams[layer] for layer in range(n - 1)]
        for start in range(0, d, DIM_BATCH):
            rows = range(start, min(start + DIM_BATCH, d))
            cotangent = torch.zeros_like(streams[n - 1])
            for number, row in enumerate(rows):
                cotangent[number, skip : len(ids) - 1, row] = 1
            gradients = torch.autograd.grad(streams[n - 1], sources, cotangent, retain_graph=True)
            for layer, one in enumerate(gradients):
                found[layer, start : rows[-1] + 1] = one[: len(rows), skip : len(ids) - 1].mean(1)
        yield found


def _keep(layer: int, streams: dict[int, Tensor]) -> Callable[..., None]:
    """A hook that keeps what a layer writes; gradients begin at the first."""

    def hook(_: Any, __: Any, output: Any) -> None:
        stream = output[0] if isinstance(output, tuple) else output
        streams[layer] = stream if stream.requires_grad else stream.requires_grad_()

    return hook


def ours(model: interp.Model, prompts: list[list[int]], skip: int) -> Iterator[Tensor]:
    """Each prompt's Jacobians, by `interp.fit_jacobian_lens`."""
    layers = list(range(model.arch.n_layers - 1))
    for ids in prompts:
        yield interp.fit_jacobian_lens(model, [ids], layers=layers, skip_first=skip)[0].jacobian


def _in(model: interp.Model, dtype: str) -> interp.Model:
    """The model in another precision."""
    hf_model: Any = model.hf_model
    if dtype == model.identity.dtype:
        return model
    twin = copy.deepcopy(hf_model).to(getattr(torch, dtype))
    return interp.load_model(twin, model.tokenizer, dtype=dtype, device="cpu", self_check=False)  # type: ignore[arg-type]


class Judge:
    """What a lens is held against."""

    def __init__(self, model: interp.Model, held_out: list[list[int]], every: int) -> None:
        self.model = model
        streams, logits = streams_of_tokens(model, held_out)
        self.streams, self.final = streams[:, ::every], logits[::every].double()

    def kl(self, jacobian: Tensor) -> float:
        """The mean over layers of KL(final || lens), in nats."""
        n = self.model.arch.n_layers
        lens = JacobianLens.of_model(
            self.model, source_layers=tuple(range(n - 1)), jacobian=jacobian, target_layer=n - 1, n_prompts=1
        )
        read = (lens.logits(self.model, self.streams[layer + 1], layer) for layer in range(n - 1))
        each = [float(kl_divergence(self.final, one.double()).mean()) for one in read]
        return sum(each) / len(each)


def curve(found: Iterator[Tensor], true: Tensor | None, judge: Judge | None) -> list[Point]:
    """What the mean is like after each prompt, and how long that took, without the judging."""
    points: list[Point] = []
    total: Tensor | None = None
    clock = processor = 0.0
    while True:
        begun = time.perf_counter(), time.process_time()
        one = next(found, None)
        clock += time.perf_counter() - begun[0]
        processor += time.process_time() - begun[1]
        if one is None:
            return points
        total = one if total is None else total + one
        mean = total / (len(points) + 1)
        error = kl = float("nan")
        if true is not None and judge is not None:
            off = (mean - true).flatten(1).norm(dim=1) / true.flatten(1).norm(dim=1)
            error, kl = float(off.mean()), judge.kl(mean)
        points.append(Point(len(points) + 1, clock, processor, error, kl))


def first_good(points: list[Point], enough: float) -> Point | None:
    """The first point from which on the KL stays below a bound."""
    good = [point.kl <= enough for point in points]
    last_bad = max((i for i, one in enumerate(good) if not one), default=-1)
    return points[last_bad + 1] if last_bad + 1 < len(points) else None


def measured(name: str) -> list[str]:
    """The rows of a model."""
    setting = SETTINGS[name]
    if name == "gpt2-dimensions":
        model = interp.load_model(GPT2LMHeadModel(GPT2Config()).eval(), device="cpu", self_check=False)
        judge = None
    else:
        model = interp.load_model(name, device="cpu", self_check=False)
        _, held_out = load_text(model, setting.text, training=1, held_out=2, length=LENGTH, seed=9)
        judge = Judge(model, held_out, setting.every)
    rows: list[str] = []
    enough = float("nan")
    fast = str(find_dtype("auto", torch.device("cpu"))).removeprefix("torch.")
    own = {dtype: _in(model, dtype) for dtype in {"float32", fast}}
    for algorithm, length, skip, dtype in (
        ("reference", LENGTH, SKIP, "float32"),
        *(("interp", *one) for one in OURS),
    ):
        if dtype not in own:
            continue  # the machine only imitates it, many times slower
        count = max(1, setting.tokens // length)
        true = None
        if judge is None:
            prompts = torch.randint(0, 50257, (count, length)).tolist()
        else:
            n_true = setting.true * LENGTH // length  # as many tokens
            text, _ = load_text(model, setting.text, training=count + n_true, held_out=1, length=length)
            prompts, others = text[:count], text[count:]
            true = torch.stack(list(ours(own[fast], others, skip))).mean(0)
        found = (
            reference(model, prompts, skip) if algorithm == "reference" else ours(own[dtype], prompts, skip)
        )
        points = curve(found, true, judge)
        enough = 1.02 * points[-1].kl if algorithm == "reference" else enough
        rows.append(_row(name, f"{algorithm}, {dtype}", length, points, first_good(points, enough)))
        print(rows[-1], flush=True)
    return rows


def _row(name: str, algorithm: str, length: int, points: list[Point], good: Point | None) -> str:
    last = points[-1]
    after = "never" if good is None else f"{good.prompts} | {good.clock:.1f} | {good.processor:.1f}"
    numbers = " | | | |" if last.kl != last.kl else f" {last.error:.2f} | {last.kl:.2f} | {after} |"
    if good is None and last.kl == last.kl:
        numbers = f" {last.error:.2f} | {last.kl:.2f} | never | | |"
    each = f"{last.clock / last.prompts:.2f} | {last.processor / last.prompts:.2f}"
    return f"| {name} | {algorithm} | {length} | {last.prompts} | {each} |{numbers}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fitting a Jacobian lens.")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--models", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = [row for name in options.models for row in measured(name)]
    head = (
        "| model | algorithm | tokens | prompts | a prompt, s | of the processor | error | KL | good after "
        "prompts | s | of the processor |"
    )
    table = "\n".join([f"{options.threads} threads.\n", head, "|---" * 11 + "|", *rows, ""])
    if options.write:
        put("jacobian-lens", table)


if __name__ == "__main__":
    main()
