"""Tokens a second: `Model.generate` with a cache and without, beside transformers' own `generate`.

    python bench/generation.py [--write] [--models demo-gpt2 demo-qwen3] [--rounds 4]

Greedy, of one prompt, of eight of one length, and of eight of as many lengths, which transformers pads on the
left and this package runs in turns; no token ends a text. With no edit, with one of the residual stream at
all positions, and with one of the keys. transformers attends by its own default, this package by the eager
function that edits of patterns need. Median of the rounds, in which the ways take turns, after one round that
is not counted; without a cache, whose cost is plain, of two rounds at most. About a minute for the two demo
models on an idle core; a model of 270 M parameters takes ten.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from tables import put
from transformers import GenerationConfig

import interp
from interp import Edit
from interp.models.base import Model

TEXT = "When John and Mary went to the store, John gave a drink to"
SHORTEST, N_TOKENS, ROUNDS, UNCACHED_ROUNDS = 6, 32, 4, 2
#: Name of a row -> lengths of its prompts.
PROMPTS: dict[str, list[int]] = {
    "1": [SHORTEST],
    "8": [SHORTEST] * 8,
    "8 of 8 lengths": list(range(SHORTEST, SHORTEST + 8)),
}
WAYS = ("transformers", "generate", "resid_post edited", "k edited", "no cache")


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def of_transformers(model: Model, prompts: list[list[int]]) -> Callable[[], list[list[int]]]:
    """What transformers says after the prompts, padded on the left."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(own)) + own for own in prompts])  # [row, pos]
    mask = torch.tensor([[0] * (longest - len(own)) + [1] * len(own) for own in prompts])
    settings = GenerationConfig(max_new_tokens=N_TOKENS, do_sample=False, eos_token_id=[], pad_token_id=0)

    def run() -> list[list[int]]:
        found = model.hf_model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
        return found[:, longest:].tolist()

    return run


def of_interp(
    model: Model, prompts: list[list[int]], edits: list[Edit], *, cache: bool
) -> Callable[[], list[list[int]]]:
    """What this package says after them."""

    def run() -> list[list[int]]:
        said = model.generate(prompts, N_TOKENS, edits=edits, stop=(), cache=cache).said
        return [list(own) for own in said]

    return run


def row(model: Model, prompts: list[list[int]], rounds: int) -> list[str]:
    """Tokens a second of each way, and whether transformers and this package say the same."""
    middle = model.arch.n_layers // 2
    push = Edit.add("resid_post", middle, value=0.1 * torch.ones(model.arch.d_model))
    keys = Edit.scale("k", middle, value=0.9)
    runs = (
        of_transformers(model, prompts),
        of_interp(model, prompts, [], cache=True),
        of_interp(model, prompts, [push], cache=True),
        of_interp(model, prompts, [keys], cache=True),
        of_interp(model, prompts, [], cache=False),
    )
    same = runs[0]() == runs[1]()
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for done in range(rounds + 1):
        for way, run in zip(WAYS, runs, strict=True):
            if way != "no cache" or done <= UNCACHED_ROUNDS:
                times[way].append(seconds(run))
    rates = [N_TOKENS * len(prompts) / statistics.median(own[1:]) for own in times.values()]
    return [*(f"{rate:.0f}" for rate in rates), "yes" if same else "no"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokens a second.")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--models", nargs="+", default=["demo-gpt2", "demo-qwen3"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    lines = [
        f"| model, prompts | {' | '.join(WAYS)} | same |",
        "|---" * (len(WAYS) + 2) + "|",
    ]
    for name in options.models:
        model = interp.load_model(name, device="cpu")
        ids = model.to_tokens(TEXT).row(0)
        for prompts, lengths in PROMPTS.items():
            cells = row(model, [ids[:n] for n in lengths], options.rounds)
            lines.append(f"| {name}, {prompts} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    if options.write:
        put("generation", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
