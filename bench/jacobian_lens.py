"""Fitting a Jacobian lens, beside the reference's algorithm: time to the same error and to the same KL.

    python bench/jacobian_lens.py [--threads 2] [--models demo-gpt2 gemma-3-270m] [--write]

The reference's algorithm stands here as plainly as it is: for each prompt, a forward pass of the prompt in
`DIM_BATCH` copies, logits included, and a backward pass for every `DIM_BATCH` dimensions of the stream, with
a one-hot cotangent at all target positions, to the stream after each layer. Both read the same prompts in the
same order. After every few prompts are measured:

- the time so far, of the processor and by the clock, and the backward passes (of one cotangent each);
- the error: the distance to a matrix that neither has seen a prompt of, fitted by the plain algorithm on
  other text, as a share of its norm, mean over layers;
- the mean KL, over layers, of the model's prediction from the lens's on held-out text.

The table says when the reference and `interp.fit_jacobian_lens` reach the KL, and the error, that the
reference has at its end. A model of GPT-2-small dimensions has random weights: its KL says nothing and is
left out.
"""

from __future__ import annotations

import argparse
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
from interp.text.sequences import load_text

DIM_BATCH, SKIP = 8, 16


@dataclass(frozen=True)
class Setting:
    """What is fitted on: prompts to fit, prompts of the matrix that counts as true, held-out sequences."""

    text: str
    length: int
    reference: int  # prompts of the reference
    ours: int  # prompts of ours
    directions: int
    true: int
    held_out: int


SETTINGS = {
    "demo-gpt2": Setting("demo", 128, 20, 40, 24, 150, 16),
    "demo-qwen3": Setting("demo", 128, 20, 40, 24, 150, 16),
    "gemma-3-270m": Setting("docs/methodology.md", 64, 5, 24, 64, 20, 8),
    "gpt2-dimensions": Setting("", 128, 1, 24, 64, 0, 0),
}


@dataclass
class Point:
    """Where a fit is after some prompts."""

    prompts: int
    clock: float
    processor: float
    error: float
    kl: float


def reference(model: interp.Model, prompts: list[list[int]]) -> Iterator[Tensor]:
    """The mean of the Jacobians [layer, out, in] so far, after each prompt, as the reference computes it."""
    hf_model: Any = model.hf_model
    d, n = model.arch.d_model, model.arch.n_layers
    for parameter in hf_model.parameters():
        parameter.requires_grad_(False)
    total = torch.zeros(n - 1, d, d)
    for number, ids in enumerate(prompts, start=1):
        streams: dict[int, Tensor] = {}
        layers = list(model.layers)  # type: ignore[attr-defined]
        handles = [layer.register_forward_hook(_keep(i, streams)) for i, layer in enumerate(layers)]
        with torch.enable_grad():
            hf_model(input_ids=torch.tensor([ids] * DIM_BATCH), use_cache=False)
        for handle in handles:
            handle.remove()
        for start in range(0, d, DIM_BATCH):
            rows = range(start, min(start + DIM_BATCH, d))
            cotangent = torch.zeros_like(streams[n - 1])
            for copy, row in enumerate(rows):
                cotangent[copy, SKIP : len(ids) - 1, row] = 1
            sources = [streams[layer] for layer in range(n - 1)]
            found = torch.autograd.grad(streams[n - 1], sources, cotangent, retain_graph=True)
            for layer, gradient in enumerate(found):
                total[layer, start : rows[-1] + 1] += gradient[: len(rows), SKIP : len(ids) - 1].mean(1)
        yield total / number


def _keep(layer: int, streams: dict[int, Tensor]) -> Callable[..., None]:
    """A hook that keeps what a layer writes; gradients begin at the first."""

    def hook(_: Any, __: Any, output: Any) -> None:
        stream = output[0] if isinstance(output, tuple) else output
        streams[layer] = stream if stream.requires_grad else stream.requires_grad_()

    return hook


class Stopwatch:
    """Time of the clock and of the processor, without what is measured in between."""

    def __init__(self) -> None:
        self.clock = self.processor = 0.0
        self._go()

    def _go(self) -> None:
        self._from = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self.clock += time.perf_counter() - self._from[0]
        self.processor += time.process_time() - self._from[1]

    def go(self) -> None:
        self._go()


def curve_of_reference(model: interp.Model, prompts: list[list[int]], judged: Judge) -> list[Point]:
    points, watch = [], Stopwatch()
    for number, jacobian in enumerate(reference(model, prompts), start=1):
        watch.stop()
        points.append(judged.point(number, watch, jacobian))
        watch.go()
    return points


def curve_of_ours(
    model: interp.Model, prompts: list[list[int]], directions: int, counts: list[int], judged: Judge
) -> list[Point]:
    """Each point is a fit of its own."""
    points = []
    for count in counts:
        watch = Stopwatch()
        lens, _ = interp.fit_jacobian_lens(
            model,
            prompts[:count],
            directions=directions,
            layers=list(range(model.arch.n_layers - 1)),
            skip_first=SKIP,
        )
        watch.stop()
        points.append(judged.point(count, watch, lens.jacobian))
    return points


class Judge:
    """What the matrices of a model are held against."""

    def __init__(self, model: interp.Model, true: Tensor | None, held_out: list[list[int]]) -> None:
        self.model, self.true, self.held_out = model, true, held_out

    def point(self, prompts: int, watch: Stopwatch, jacobian: Tensor) -> Point:
        error = kl = float("nan")
        if self.true is not None:
            off = (jacobian - self.true).flatten(1).norm(dim=1) / self.true.flatten(1).norm(dim=1)
            error = float(off.mean())
            n = self.model.arch.n_layers
            fields = {"source_layers": tuple(range(n - 1)), "target_layer": n - 1, "n_prompts": 1}
            lens = JacobianLens.of_model(self.model, jacobian=jacobian, **fields)
            kl = float(interp.measure_lens(self.model, lens, self.held_out).kl[1, 1:-1].mean())
        return Point(prompts, watch.clock, watch.processor, error, kl)


def measured(name: str) -> list[str]:
    """The rows of a model, which are printed as they come."""
    setting = SETTINGS[name]
    n = max(setting.reference, setting.ours)
    if name == "gpt2-dimensions":
        model = interp.load_model(GPT2LMHeadModel(GPT2Config()).eval(), device="cpu", self_check=False)
        prompts = torch.randint(0, 50257, (n, setting.length)).tolist()
        judged = Judge(model, None, [])
    else:
        model = interp.load_model(name, device="cpu", self_check=False)
        text, held_out = load_text(
            model, setting.text, training=n + setting.true, held_out=setting.held_out, length=setting.length
        )
        prompts, others = text[:n], text[n:]
        true, _ = interp.fit_jacobian_lens(
            model, others, directions="all", layers=list(range(model.arch.n_layers - 1)), skip_first=SKIP
        )
        judged = Judge(model, true.jacobian, held_out)
    theirs = curve_of_reference(model, prompts[: setting.reference], judged)
    for point in theirs:
        print(name, "reference", point, flush=True)
    least = -(-2 * model.arch.d_model // setting.directions)
    counts = sorted(
        {least, *range(least, setting.ours + 1, max(1, (setting.ours - least) // 4)), setting.ours}
    )
    ours = curve_of_ours(model, prompts, setting.directions, counts, judged)
    for point in ours:
        print(name, "ours", point, flush=True)
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description="Fitting a Jacobian lens.")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--models", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = [row for name in options.models for row in measured(name)]
    if options.write:
        put("jacobian-lens", "\n".join(rows))


if __name__ == "__main__":
    main()
