"""Draws every figure of the README and of docs/, from the shipped models: ``make figures``."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from interp.configs import read_config
from interp.experiments.base import find_experiment
from interp.runs import perform

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"


def draw(name: str, config_file: str, **changes: object) -> None:
    """Run a shipped configuration, with some keys changed, and keep its figure under `name`."""
    values = read_config(ROOT / "configs" / config_file) | changes
    experiment = find_experiment(values.pop("experiment"))
    with TemporaryDirectory() as folder:
        run = perform(experiment, experiment.make_config(values), Path(folder) / "run")
        shutil.copyfile(run.path / f"{experiment.name}.png", FIGURES / f"{name}.png")
    print(FIGURES / f"{name}.png")


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    for model in ("demo-gpt2", "demo-qwen3"):
        draw(f"logit_lens-{model}", f"logit_lens/{model}.yaml")
        draw(f"logit_lens-grid-{model}", f"logit_lens/{model}.yaml", position="all")
        draw(f"causal_tracing-{model}", f"causal_tracing/{model}.yaml")
        draw(f"causal_tracing-noising-{model}", f"causal_tracing/{model}.yaml", direction="noising")
        draw(f"patch_sweep-{model}", f"patch_sweep/{model}.yaml")
        draw(f"patch_sweep-heads-{model}", f"patch_sweep/{model}.yaml", site="z", by="head")


if __name__ == "__main__":
    main()
