"""Tokens a second: `Model.generate` with a cache and without, beside transformers' own `generate`.

    python bench/generation.py [--write] [--models demo-gpt2 demo-qwen3 gemma-3-270m] [--rounds 5]

Greedy, one prompt and eight of one length, and no token ends a text; with no edit, with one of the residual
stream at all positions, and with one of the keys. transformers attends by its own default, this package by
the eager function that edits of patterns need. Median of the rounds in turn, after one that is not counted.
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

PROMPT = "The capital of France is"
ROUNDS, N_TOKENS = 5, 32


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def rows(name: str, n_prompts: int, rounds: int) -> list[str]:
    """A line of the table: tokens a second of each way."""
    model = interp.load_model(name, device="cpu")
    ids = model.to_tokens([PROMPT] * n_prompts).ids
    middle = model.arch.n_layers // 2
    push = Edit.add("resid_post", middle, value=0.1 * torch.ones(model.arch.d_model))
    keys = Edit.scale("k", middle, value=0.9)

    settings = GenerationConfig(max_new_tokens=N_TOKENS, do_sample=False, eos_token_id=[], pad_token_id=0)

    def theirs() -> torch.Tensor:
        return model.hf_model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings
        )

    def ours(edits: list[Edit], cache: bool = True) -> Callable[[], object]:
        return lambda: model.generate(list(ids), N_TOKENS, edits=edits, stop=(), cache=cache)

    ways = {
        "transformers": theirs,
        "no edit": ours([]),
        "resid_post": ours([push]),
        "k": ours([keys]),
        "no cache": ours([], cache=False),
    }
    same = theirs()[:, ids.shape[1] :].tolist() == [
        list(said) for said in model.generate(list(ids), N_TOKENS, stop=()).said
    ]
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, run in ways.items():
            times[way].append(seconds(run))
    rates = [N_TOKENS * n_prompts / statistics.median(own[1:]) for own in times.values()]
    return [
        f"| {name}, {n_prompts} | "
        + " | ".join(f"{r:.0f}" for r in rates)
        + f" | {'yes' if same else 'no'} |"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokens a second.")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--models", nargs="+", default=["demo-gpt2", "demo-qwen3", "gemma-3-270m"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    lines = [
        "| model, prompts | transformers | generate | resid_post edited | k edited | no cache | same |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in options.models:
        for n_prompts in (1, 8):
            lines += rows(name, n_prompts, options.rounds)
            print(lines[-1], flush=True)
    table = "\n".join(lines) + "\n"
    if options.write:
        put("generation", table)


if __name__ == "__main__":
    main()
