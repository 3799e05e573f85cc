"""Plans beside measured runs, and plans of models that are too large for this machine.

    python bench/plans.py            # prints; --write puts the tables into docs/large-models.md

Time is that of one thread's processor, so that what else the machine does hardly counts.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

import interp
from interp.experiments.base import find_experiment
from interp.plans.plan import duration, size

ROOT = Path(__file__).parents[1]
DOC = ROOT / "docs" / "large-models.md"
MODELS = ("demo-gpt2", "gemma-3-270m")
#: What is measured: on a task, so that it works on any model.
CHECKED: dict[str, dict[str, Any]] = {
    "activation_patching": {"task": "indirect_objects", "n": 4, "site": "z", "by": "head", "pairs": "all"},
    "path_patching": {"n": 4, "pairs": "all"},
    "ablation": {"n": 4, "pairs": "all", "what": "layers", "kinds": ["zero"]},
}
LARGE = ("llama-3.1-70b", "llama-3.1-405b", "qwen3-235b-a22b")
PLANNED: dict[str, dict[str, Any]] = {
    "activation_patching": {"task": "indirect_objects", "n": 100, "by": "layer", "pairs": "all"},
    "path_patching": {"n": 100, "pairs": "all"},
}


def beside_runs() -> list[list[str]]:
    """Of each model and experiment: what was planned, what it took, and their ratio."""
    torch.set_num_threads(1)
    time.perf_counter = time.process_time  # also in what the plan measures
    rows = []
    for name in MODELS:
        model = interp.load_model(name, device="cpu")
        for experiment, config in CHECKED.items():
            planned = interp.plan(experiment, config, model=name).on[0].seconds
            assert planned is not None
            found = find_experiment(experiment)
            resolved = found.make_config({**config, "model": name})
            found.run(found.make_config({**config, "n": 2, "model": name}), model)  # what is done once
            start = time.process_time()
            found.run(resolved, model)
            taken = time.process_time() - start
            rows.append([name, experiment, f"{planned:.2f}", f"{taken:.2f}", f"{planned / taken:.2f}"])
            print(*rows[-1], flush=True)
    return rows


def large() -> list[list[str]]:
    rows = []
    for experiment, config in PLANNED.items():
        for name in LARGE:
            for gpus in (64,):
                plan = interp.plan(
                    experiment,
                    config,
                    model=str(ROOT / "docs" / "shapes" / f"{name}.json"),
                    tokenizer="demo-qwen3",
                    dtype="bfloat16",
                    gpus=gpus,
                    here=False,
                )
                (on,) = plan.on
                time_taken = "does not fit" if on.seconds is None else duration(on.seconds)
                rows.append(
                    [
                        name,
                        experiment,
                        f"{plan.operations:.1e}",
                        size(plan.weights),
                        size(plan.packed + plan.logits + plan.held),
                        str(plan.parts),
                        f"{gpus} x 80 GB",
                        str(on.together or ""),
                        str(on.copies or ""),
                        time_taken,
                    ]
                )
                print(*rows[-1], sep=" | ", flush=True)
    return rows


def put(name: str, headings: list[str], rows: list[list[str]]) -> None:
    """Replace what stands between the two comments of a table."""
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->\n"
    text = DOC.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    lines = [headings, ["---"] * len(headings), *rows]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    DOC.write_text(before + begin + table + end + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", choices=("runs", "large"))
    asked = parser.parse_args()
    tables = {
        "runs": (["model", "experiment", "planned (s)", "taken (s)", "ratio"], beside_runs),
        "large": (
            [
                *("model", "experiment", "operations", "weights", "beside them", "parts", "GPUs"),
                *("for one copy", "copies", "time"),
            ],
            large,
        ),
    }
    for name, (headings, rows) in tables.items():
        if asked.only in (None, name):
            found = rows()
            if asked.write:
                put(name, headings, found)


if __name__ == "__main__":
    main()
