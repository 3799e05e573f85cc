"""All active features at all positions of a prompt, knocked out one by one, beside a loop of forward passes.

    python bench/features.py [--threads 2] [--patience 60] [--write]

Three models: the two demo models, and one of GPT-2-small dimensions with random weights. The SAEs have random
weights too (TopK 32, 8 x d_model features, resid_post of the middle layer): time does not depend on what
they learned. For each prompt of 16 tokens:

- one ``feature_edit`` a cell, in one `Model.sweep`;
- the same in `feature_effects`, which knows the features already, and computes the two estimates besides;
- a loop: one `Model.forward` a cell with the same edit; where that takes longer than `patience`, a sample of
  cells, scaled up.

The last column is the largest difference between sweep and loop, of the logit difference, over a sample.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable
from typing import Any

import torch
from tables import put
from transformers import GPT2Config, GPT2LMHeadModel

import interp
from interp.saes.activations import TopK
from interp.saes.dictionary import SAE, model_facts
from interp.sites import Address

PROMPT = "Then, Mary and John went to the store. John gave a drink to"
N_POS = 16
SAMPLE = 20


def main() -> None:
    parser = argparse.ArgumentParser(description="All active features at all positions of a prompt.")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--patience", type=float, default=60, help="seconds after which the loop runs a sample"
    )
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = [measured(name, interp.load_model(name, device="cpu"), options.patience) for name in DEMOS]
    gpt2 = interp.load_model(GPT2LMHeadModel(GPT2Config()).eval(), device="cpu")
    rows.append(measured("GPT-2 small dimensions", gpt2, options.patience))
    head = (
        "| model | features | cells | one sweep (s) | `feature_effects` (s) | loop of forward passes (s) "
        "| loop / sweep | off |"
    )
    table = "\n".join(
        [
            f"{options.threads} {'thread' if options.threads == 1 else 'threads'}.\n",
            head,
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    print(table)
    if options.write:
        put("features", table)


DEMOS = ("demo-gpt2", "demo-qwen3")


def measured(name: str, model: interp.Model, patience: float) -> str:
    """A row of the table."""
    sae = random_sae(model)
    if name in DEMOS:
        ids, answer, foil = model.to_tokens(PROMPT).row(0), " Mary", " John"
    else:
        ids, answer, foil = torch.randperm(model.arch.d_vocab)[:N_POS].tolist(), 1, 2
    readout = interp.Readout.logit_diff(model.to_single_token(answer), model.to_single_token(foil))
    features = sae.encode(model.run_with_cache([ids], [sae.address])[sae.address][0])
    cells = [(p, f) for p, f in features.nonzero().tolist() if p > 0]
    branches = [[interp.feature_edit(sae, "ablate", f, positions=p)] for p, f in cells]
    model.sweep([ids], branches[:2], readout)  # which compares branches with plain passes once
    found, seconds = timed(lambda: model.sweep([ids], branches, readout))
    _, whole = timed(lambda: interp.feature_effects(model, sae, ids, answer=answer, foil=foil))

    def loop(chosen: list[int]) -> list[float]:
        return [float(readout(model.forward([ids], branches[i]))[0]) for i in chosen]

    chosen = random.Random(0).sample(range(len(cells)), SAMPLE)
    values, sample = timed(lambda: loop(chosen))
    off = max(abs(a - float(found.values[i])) for i, a in zip(chosen, values, strict=True))
    if sample / SAMPLE * len(cells) <= patience:
        _, looped = timed(lambda: loop(list(range(len(cells)))))
        written = f"{looped:.1f}"
    else:
        looped = sample / SAMPLE * len(cells)
        written = f"~{looped:.0f}"
    row = (
        f"| {name} | {sae.n_features:,} | {len(cells)} | {seconds:.2f} | {whole:.2f} | {written} "
        f"| {looped / seconds:.0f} | {off:.0e} |"
    )
    print(row, flush=True)
    return row


def random_sae(model: interp.Model) -> SAE:
    d, n = model.arch.d_model, 8 * model.arch.d_model
    facts: Any = model_facts(model)
    return SAE(
        W_enc=torch.randn(d, n) / d**0.5,
        b_enc=torch.zeros(n),
        W_dec=torch.nn.functional.normalize(torch.randn(n, d), dim=-1),
        b_dec=torch.zeros(d),
        activation=TopK(32),
        address=Address("resid_post", model.arch.n_layers // 2),
        **facts,
    )


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = call()
    return found, time.perf_counter() - start


if __name__ == "__main__":
    main()
