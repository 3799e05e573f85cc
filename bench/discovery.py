"""How well methods of discovery find circuits that are planted in noise: AUROC against the truth.

    python bench/discovery.py [--noise 0.05 0.1] [--pairs 4] [--write]

The circuits are those of tests/compiled.py and tests/compiled_backup.py, compiled by hand on GPT-2's layout;
nothing is trained. Every head that is not planted and every MLP gets random weights, so that it looks
somewhere and writes `noise` times the length of what it reads, in all directions, which the planted heads and
the logits read, too. In InterpBench (Gupta et al. 2024, https://arxiv.org/abs/2407.14494) the rest of the
model is trained around the circuit; here it is random, which is easier: nothing is made to look like it.

What is planted is left as it was, and where a draw changes an answer there is no figure (-); but what is
random has effects of its own, the larger the noise. The truth is what was planted, so that a method which is
right about those effects (exact edges) may come out below 1.

Scores are in size (absolute values), by noising, logit difference. AUROC is the chance that what is planted
scores above what is not; ties count half; 0.5 is chance. Candidates are all edges; or all heads and MLPs, of
which the circuit's heads are planted. The circuit of `self-repair` has a backup head, which no method on
single components can find: it counts among its heads, and has no edge among its edges.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tables import put
from torch import Tensor

import interp
from interp.methods.common.statistics import ranks
from interp.models.base import Model
from interp.tasks.base import Pair, PairDataset

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from compiled import Planted, copy_previous_model, indirect_object_model, induction_model
from compiled_backup import self_repair_model
from planting import N_HEADS

CIRCUITS: dict[str, Callable[[], Planted]] = {
    "copy-previous": copy_previous_model,
    "induction": induction_model,
    "indirect-object": indirect_object_model,
    "self-repair": partial(self_repair_model, sink=1.0),  # a longer one would multiply the noise
}
SELECTIVE = 3.0  # times the queries and keys of random heads, so that they do not look everywhere alike
Scores = Mapping[str, float]  # of edges or nodes, by name


def by_gradients(level: str, method: str) -> Callable[[Model, PairDataset], Scores]:
    attribution = interp.edge_attribution if level == "edge" else interp.node_attribution
    return lambda model, pairs: attribution(model, pairs, method=method, steps=5).by_name()


def by_ablation(kind: str) -> Callable[[Model, PairDataset], Scores]:
    """What the metric changes by without each head, and without each MLP."""

    def scores(model: Model, pairs: PairDataset) -> Scores:
        found: dict[str, float] = {}
        for what in ("heads", "mlps"):
            lost = interp.ablation(model, pairs, what, kinds=kind)
            found |= dict(zip(lost.sets, lost.change.mean[0].tolist(), strict=True))
        return found

    return scores


EDGES = {
    "exact edges": by_gradients("edge", "exact"),
    "EAP": by_gradients("edge", "eap"),
    "EAP-IG inputs": by_gradients("edge", "eap-ig-inputs"),
    "EAP-IG activations": by_gradients("edge", "eap-ig-activations"),
}
NODES = {
    "activation patching": by_gradients("node", "exact"),
    "attribution patching": by_gradients("node", "eap"),
    "attribution patching, IG inputs": by_gradients("node", "eap-ig-inputs"),
    "ablation, zero": by_ablation("zero"),
    "ablation, mean": by_ablation("mean"),
    "ablation, resample": by_ablation("resample"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="AUROC of methods of discovery against planted circuits.")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3, help="draws of the noise, of which the mean is shown")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    table = of_all(noises=options.noise, n_pairs=options.pairs, seeds=options.seeds)
    print(table)
    print(f"{time.perf_counter() - start:.0f} s")
    if options.write:
        put("discovery", table)


def of_all(*, noises: list[float], n_pairs: int, seeds: int) -> str:
    """The table: a method a row, a circuit and amount of noise a column."""
    columns = [(name, noise) for name in CIRCUITS for noise in noises]
    cells: dict[tuple[str, str], list[str]] = {}
    for name, noise in columns:
        found = [of_one(CIRCUITS[name](), noise=noise, n_pairs=n_pairs, seed=seed) for seed in range(seeds)]
        for key in [("edges", method) for method in EDGES] + [("heads and MLPs", method) for method in NODES]:
            each = [one[key] for one in found if one]
            cells.setdefault(key, []).append(f"{np.mean(each):.3f}" if len(each) == seeds else "-")
    heads = [f"{name}, {noise:g}" for name, noise in columns]
    lines = [f"| scores of | method | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    lines += [f"| {level} | {method} | {' | '.join(row)} |" for (level, method), row in cells.items()]
    counts = f"{n_pairs} pairs; means over {seeds} draws of the noise.\n\n"
    return counts + "\n".join(lines) + "\n"


def of_one(planted: Planted, *, noise: float, n_pairs: int, seed: int) -> dict[tuple[str, str], float]:
    """The AUROC of every method on one circuit, hidden in one draw of noise; nothing where the noise changes
    the answers."""
    add_noise(planted, noise, seed)
    model = interp.load_model(planted.hf_model, device="cpu")
    pairs = dataset(planted, n_pairs)
    if not answers(model, pairs):
        return {}
    edges = {f"{sender}->{receiver}" for sender, receiver in planted.edges}
    nodes = {f"a{layer}.h{head}" for layer, head in planted.heads.values()}
    found = {}
    for level, methods, truth in (("edges", EDGES, edges), ("heads and MLPs", NODES, nodes)):
        for name, method in methods.items():
            scores = {one: value for one, value in method(model, pairs).items() if one != "input"}
            found[level, name] = auroc(scores, truth)
    return found


def add_noise(planted: Planted, noise: float, seed: int) -> None:
    """Random weights in every MLP and every head that is not planted, on top of what they have."""
    generator = torch.Generator().manual_seed(seed)

    def random(rows: int, columns: int, *, to: int) -> Tensor:
        """A matrix that keeps the length of a vector, on average, where it has `to` columns."""
        return torch.randn(rows, columns, generator=generator) / to**0.5

    transformer = planted.hf_model.get_submodule("transformer")
    with torch.no_grad():
        for layer, block in enumerate(transformer.get_submodule("h").children()):
            attn, mlp = block.get_submodule("attn"), block.get_submodule("mlp")
            qkv, proj = attn.get_submodule("c_attn").weight, attn.get_submodule("c_proj").weight
            d_model, d_head = len(qkv), len(qkv) // N_HEADS
            for head in {*range(N_HEADS)} - {h for at, h in planted.heads.values() if at == layer}:
                for part, times in enumerate((SELECTIVE, SELECTIVE, 1.0)):
                    start = part * d_model + head * d_head
                    qkv[:, start : start + d_head] += times * random(d_model, d_head, to=d_head)
                rows = slice(head * d_head, (head + 1) * d_head)
                proj[rows] += noise * random(d_head, d_model, to=d_model)
            inward, outward = mlp.get_submodule("c_fc").weight, mlp.get_submodule("c_proj").weight
            d_mlp = len(outward)
            inward += random(d_model, d_mlp, to=d_mlp)
            outward += noise * random(d_mlp, d_model, to=d_model)


def dataset(planted: Planted, n: int) -> PairDataset:
    pairs = [
        Pair(clean=one.clean, corrupted=one.corrupted, answer=one.answer, foil=one.foil)
        for one in planted.pairs(n)
    ]
    return PairDataset(name="planted", pairs=tuple(pairs))


def answers(model: Model, pairs: PairDataset) -> bool:
    """Whether the model still does what is planted."""
    return all(int(model.forward([list(one.clean)])[0, -1].argmax()) == one.answer for one in pairs)


def auroc(scores: Scores, truth: set[str]) -> float:
    """The chance that one of `truth` scores above another, in size; by Mann and Whitney's U."""
    missing = truth - scores.keys()
    if missing:
        raise SystemExit(f"No score for {sorted(missing)[0]}, which is planted.")
    order = ranks(np.abs(np.array(list(scores.values()))))
    planted = np.array([name in truth for name in scores])
    n = int(planted.sum())
    u = order[planted].sum() - n * (n - 1) / 2
    return float(u / (n * (len(planted) - n)))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
