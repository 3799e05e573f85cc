"""Exact scores of every edge at GPT-2-small dimensions, beside one forward pass an edge and approximations.

    python bench/edges.py [--threads 2] [--layers 12] [--write]

Random weights; a pair of 15 tokens, all of them different, so that every edge carries something at every
position. One forward pass an edge, as the published code evaluates them, is not run: its time is that of 20
forward passes in the same process, before and after the exact scores, their median times the number of edges.
Approximations are compared with the exact scores by Spearman's correlation of absolute scores over all edges.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time

import numpy as np
import torch
from tables import put
from transformers import GPT2Config, GPT2LMHeadModel

import interp
from interp.methods.attribution.edge_attribution import edge_attribution
from interp.methods.common.graph import Graph
from interp.methods.common.statistics import spearman
from interp.tasks.base import Pair, PairDataset

N_POS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description="Exact scores of every edge at GPT-2-small dimensions.")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--layers", type=int, default=12, help="fewer for a quick look")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = interp.load_model(GPT2LMHeadModel(GPT2Config(n_layer=options.layers)).eval(), device="cpu")
    tokens = torch.randperm(model.arch.d_vocab)[: 2 * N_POS + 2].tolist()
    clean, corrupted = tuple(tokens[:N_POS]), tuple(tokens[N_POS : 2 * N_POS])
    pair = Pair(clean=clean, corrupted=corrupted, answer=tokens[-2], foil=tokens[-1])
    dataset = PairDataset(name="random", pairs=(pair,))
    n_edges = Graph.of(model).n_edges

    def forwards() -> list[float]:
        seconds = []
        for _ in range(10):
            start = time.perf_counter()
            model.forward([list(clean)])
            seconds.append(time.perf_counter() - start)
        return seconds

    forward = forwards()
    lines = []
    exact = None
    for method, steps in (("exact", 5), ("eap", 5), ("eap-ig-inputs", 5), ("eap-ig-activations", 5)):
        start = time.perf_counter()
        found = edge_attribution(model, dataset, method=method, steps=steps)  # type: ignore[arg-type]
        seconds = time.perf_counter() - start
        if exact is None:
            exact, forward = found, forward + forwards()
        rank = (
            ""
            if found is exact
            else f"{spearman(np.abs(found.scores.value), np.abs(exact.scores.value)):.3f}"
        )
        name = method if not found.steps else f"{method}, {steps} steps"
        lines.append(f"| {name} ({found.path}) | {seconds:.1f} | {n_edges / seconds:.0f} | {rank} |")
        print(lines[-1], flush=True)
    assert exact is not None
    each = statistics.median(forward)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    table = "\n".join(
        [
            f"{n_edges:,} edges, {np.count_nonzero(exact.scores):,} of them not 0; "
            f"{options.threads} threads, peak memory {peak:.1f} GB.\n",
            "| scores | seconds | edges a second | Spearman to exact (absolute) |",
            "|---|---|---|---|",
            f"| one forward pass an edge, estimated ({each:.3f} s each) | "
            f"{each * n_edges:.0f} | {1 / each:.0f} | |",
            *lines,
            "",
        ]
    )
    print(table)
    if options.write:
        put("edges", table)


if __name__ == "__main__":
    main()
