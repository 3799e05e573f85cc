"""Draws the figures of the README and of docs/ from the shipped models, and from Gemma 3 270M where ``make
real`` has installed it: ``make figures`` draws all of them, ``python docs/figures.py ioi circuit`` those
whose names begin so.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure
from PIL import Image

import interp
from interp.configs import read_config
from interp.experiments.base import find_experiment
from interp.figures.engine.drawing import png
from interp.figures.engine.notation import model_line
from interp.figures.engine.view import Grid, View
from interp.figures.engine.view_figure import figure_of
from interp.figures.views import lenses_on_prompt
from interp.methods.lens.results import LensesOnPromptResult
from interp.models.gguf.packages import GEMMA, is_installed
from interp.runs import perform

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"

#: The figure of what several lenses would say, alone.
TOKENS = "two_lenses"
TAUGHT = {"corruption": "abc", "templates": "taught"}

#: model -> name of the figure, the shipped configuration, and the keys of it that are changed
BOTH: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("logit_lens", "logit_lens", {}),
    ("logit_lens-grid", "logit_lens", {"position": "all"}),
    ("causal_tracing", "causal_tracing", {}),
    ("causal_tracing-noising", "causal_tracing", {"direction": "noising"}),
    ("activation_patching", "activation_patching", {}),
    ("activation_patching-heads", "activation_patching", {"site": "z", "by": "head"}),
    ("ioi", "ioi", {}),
)
DRAWN: dict[str, tuple[tuple[str, str, dict[str, object]], ...]] = {
    "demo-gpt2": (
        *BOTH,
        ("tuned_lens", "lenses_on_prompt", {}),
        ("contrast", "contrast", {}),
        ("patched_lens", "patched_lens", {}),
        ("head_scores", "head_scores", {}),
        ("circuit_discovery", "circuit_discovery", {}),
        ("faithfulness_curve", "faithfulness_curve", {"method": "exact", "options": TAUGHT}),
        ("faithfulness", "faithfulness", {}),
        ("completeness", "completeness", {}),
        ("prompt_features", "prompt_features", {}),
        ("feature_ablation", "feature_ablation", {}),
        ("probing", "probing", {}),
        ("direction_effects", "direction_effects", {}),
        ("alignment_search", "alignment_search", {}),
        ("knowledge", "knowledge", {}),
        ("attribution_graph", "attribution_graph", {}),
    ),
    "demo-qwen3": (
        *BOTH,
        ("direct_logit_attribution", "direct_logit_attribution", {}),
        ("attention_patterns", "attention_patterns", {"heads": ["2.4", "2.5", "4.1", "4.2"]}),
        ("attention_by_role", "attention_by_role", {}),
        ("copying_scores", "copying_scores", {}),
        ("ablation", "ablation", {}),
        ("path_patching", "path_patching", {}),
        ("patching_vs_attribution", "patching_vs_attribution", {}),
        ("steering", "steering", {}),
        ("generate", "generate", {}),
        ("knowledge", "knowledge", {}),
        ("attribution_graph", "attribution_graph", {}),
    ),
    GEMMA.name: (
        (TOKENS, "lenses_on_prompt", {}),
        *(
            (name, name, {})
            for name in (
                "compare_lenses",
                "logit_lens",
                "causal_tracing",
                "contrast",
                "direct_logit_attribution",
                "attention_by_role",
                "copying_scores",
                "head_scores",
                "head_ablation",
                "activation_patching",
                "ablation",
                "path_patching",
                "patching_vs_attribution",
                "circuit_discovery",
                "faithfulness",
                "faithfulness_curve",
                "ioi",
                "knowledge",
            )
        ),
    ),
}


#: Each model is loaded once.
load = cache(interp.load_model)


def draw(name: str, values: dict[str, object]) -> None:
    """Run an experiment, and keep its figure under `name`."""
    experiment = find_experiment(str(values.pop("experiment")))
    config = experiment.make_config(values)
    with TemporaryDirectory() as folder:
        result = perform(experiment, config, Path(folder) / "run", model=load(config.model)).result
    figure = tokens_alone(result) if name.startswith(TOKENS) else experiment.presentation.figure(result)
    keep(figure, name)


def keep(figure: Figure, name: str) -> None:
    """Write a figure under `name`, in few colours."""
    picture = Image.open(BytesIO(png(figure))).convert("RGB")
    few = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    few.save(FIGURES / f"{name}.png", optimize=True)  # a third of the size, colours off by at most 20/255
    print(FIGURES / f"{name}.png", flush=True)


def tokens_alone(result: LensesOnPromptResult) -> Figure:
    """Of several lenses on a prompt, what each would say, side by side, and nothing else."""
    whole = lenses_on_prompt.view(result)
    grids = tuple(block for block in whole.blocks if isinstance(block, Grid))
    alone = View(title="What does each layer hold?", above=whole.above[:2], blocks=grids)
    return figure_of(alone, notes=[model_line(result.provenance)])


def fit_lens(model: str) -> None:
    """Fit the Jacobian lens that a model's configurations read with, where it is not there yet."""
    values = read_config(ROOT / "configs" / "train_jacobian_lens" / f"{model}.yaml")
    if not Path(str(values["save_to"])).exists():
        experiment = find_experiment(str(values.pop("experiment")))
        with TemporaryDirectory() as folder:
            perform(experiment, experiment.make_config(values), Path(folder) / "run")


def main(beginnings: tuple[str, ...]) -> None:
    FIGURES.mkdir(exist_ok=True)
    os.chdir(ROOT)  # from where configurations name lenses and texts
    for model, figures in DRAWN.items():
        if model == GEMMA.name and not is_installed(GEMMA):
            continue
        for name, config, changes in figures:
            if f"{name}-{model}".startswith(beginnings):
                values = read_config(ROOT / "configs" / config / f"{model}.yaml") | changes
                if "lenses/" in str(values.get("lenses")):
                    fit_lens(model)
                draw(f"{name}-{model}", values)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or ("",))
