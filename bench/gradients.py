"""The exact sweep beside its gradient approximations: what each costs, and how far each is off.

    python bench/gradients.py [--write]

On both demo models (trained), and at GPT-2-small dimensions (random weights, all tokens of the pair
different, so that no cell is left out). Seconds are the median of three runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from tables import put
from transformers import GPT2Config, GPT2LMHeadModel

import interp
from interp.methods.patching.comparison import compare

CAPITALS = {"clean": "The capital of France is", "corrupted": "The capital of Japan is", "answer": " Paris"}
NAMES = {
    "clean": "When John and Mary went to the store, John gave a drink to",
    "corrupted": "When John and Mary went to the store, Mary gave a drink to",
    "answer": " Mary",
}
METHODS: dict[str, dict[str, Any]] = {
    "exact": {},
    "attribution": {},
    "integrated, 8 steps": {"steps": 8},
}


def rows(title: str, model: interp.Model, pair: dict[str, Any]) -> list[str]:
    """One line a method."""
    exact = interp.activation_patching(model, **pair)
    lines = []
    for name, options in METHODS.items():
        method: Any = name.split(",")[0]
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            found = interp.activation_patching(model, **pair, method=method, **options)
            seconds.append(time.perf_counter() - start)
        off = compare(found, exact)
        layer, column = off.worst_cell
        worst = "" if name == "exact" else f"{off.worst_difference:.2f} at layer {layer}, position {column}"
        rank = "" if name == "exact" else f"{off.rank_correlation:.2f}"
        lines.append(f"| {title} | {name} | {statistics.median(seconds):.3f} | {rank} | {worst} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="The exact sweep beside its gradient approximations.")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    lines = [
        "| model and pair | method | seconds | rank correlation | largest difference |",
        "|---|---|---|---|---|",
    ]
    for name in ("demo-gpt2", "demo-qwen3"):
        model = interp.load_model(name, device="cpu")
        lines += rows(f"{name}, capitals", model, CAPITALS | {"foil": " Tokyo"})
        lines += rows(f"{name}, indirect objects", model, NAMES | {"foil": " John"})
    torch.manual_seed(0)
    model = interp.load_model(GPT2LMHeadModel(GPT2Config()).eval(), device="cpu")
    ids = [torch.randint(10, 50_000, (15,)).tolist() for _ in range(2)]
    pair = {"clean": ids[0], "corrupted": ids[1], "answer": 7, "foil": 9}
    lines += rows("GPT-2 small dimensions, 15 tokens", model, pair)
    table = "\n".join(lines) + "\n"
    print(table)
    if options.write:
        put("gradients", table)


if __name__ == "__main__":
    main()
