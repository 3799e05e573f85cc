"""Makes a demo model from a seed: its text, its tokenizer, its weights, its figures and its card.

    python -m interp.zoo.making.train demo-gpt2 [--seed 0] [--steps N] [--copying N] [--batch N]
                            [--float32] [--out DIR] [--checkpoints N --checkpoints-to DIR]

Steps: 1. the table of people and the tokenizer; 2. the model with fresh weights; 3. training on sequences
drawn from the seed; 4. the weights in float16, read back and measured in float32; 5. the card. With
the same seed, versions and number of threads the result is the same. Progress is saved to a temporary file
every hundred steps: a stopped run goes on from there when it is started again with the same arguments.
With ``--checkpoints`` the model is kept as it was at so many steps (`interp.zoo.making.checkpoints`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from rich.console import Console
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from interp.zoo.making.behaviours import Behaviours, measure
from interp.zoo.making.card import write_card
from interp.zoo.making.checkpoints import Checkpoints, save
from interp.zoo.making.recipes import RECIPES, Recipe
from interp.zoo.making.tokenizer import build_tokenizer
from interp.zoo.making.training import Trainer, print_figures, train

FOLDER = Path(__file__).parents[1]


def load(folder: Path) -> tuple[Any, Any]:
    """The stored model in float32, and its ``tokenizers.Tokenizer``."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))


def make(
    recipe: Recipe, *, out: Path, console: Console, checkpoints: Checkpoints | None = None
) -> Behaviours:
    """The whole of it: tokenizer, training, measurement, card. ``out`` appears only when all is done."""
    tokenizer = build_tokenizer(seed=recipe.seed)
    trainer = train(recipe, tokenizer, console=console, checkpoints=checkpoints)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{recipe.name}-") as name:
        folder = Path(name) / recipe.name
        save(trainer.model, tokenizer, folder, bos=recipe.bos)
        stored, tokenizer = load(folder)
        figures = measure(stored, tokenizer, bos=recipe.bos)
        print_figures(console, figures)
        record = {
            "model": recipe.name,
            "training": _training_record(trainer, stored),
            "behaviours": figures.as_dict(),
        }
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (folder / "behaviours.json").write_text(text, encoding="utf-8")
        write_card(folder)
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)
    trainer.file.unlink(missing_ok=True)
    return figures


def _training_record(trainer: Trainer, stored: Any) -> dict[str, Any]:
    """What the card says of how a model was trained."""
    return {
        "recipe": asdict(trainer.recipe),
        "parameters": sum(p.numel() for p in stored.parameters()),
        "first_steps": trainer.first_steps,
        "minutes": round(trainer.seconds / 60, 1),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
        },
    }


def main() -> None:
    """The command line: see the top of this file."""
    parser = argparse.ArgumentParser(
        prog="python -m interp.zoo.making.train", description="Train a demo model."
    )
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=None, help="training steps (default: the recipe's)")
    parser.add_argument("--copying", type=int, default=None, help="steps of the first stage, at most")
    parser.add_argument("--batch", type=int, default=None, help="sequences a step (default: the recipe's)")
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the model (default: in the package)"
    )
    parser.add_argument("--checkpoints", type=int, default=None, help="how many to keep, at most")
    parser.add_argument("--checkpoints-to", type=Path, default=None, help="the folder that they are kept in")
    parser.add_argument(
        "--float32", action="store_true", help="no products in bfloat16, for a CPU that has none"
    )
    options = parser.parse_args()
    if (options.checkpoints is None) != (options.checkpoints_to is None):
        parser.error("--checkpoints and --checkpoints-to go together: how many, and where")
    base = RECIPES[options.name]
    changed = {
        "seed": options.seed,
        "steps": options.steps or base.steps,
        "batch": options.batch or base.batch,
        "first_at_most": options.copying or base.first_at_most,
    }
    recipe = Recipe(**{**asdict(base), **changed, "bfloat16": base.bfloat16 and not options.float32})
    checkpoints = None
    if options.checkpoints is not None:
        try:
            checkpoints = Checkpoints(options.checkpoints_to, number=options.checkpoints, recipe=recipe)
        except ValueError as error:
            parser.error(str(error))
    console = Console(soft_wrap=True, highlight=False)
    out = options.out or FOLDER / options.name
    make(recipe, out=out, console=console, checkpoints=checkpoints)
    console.print(f"wrote {out}")


if __name__ == "__main__":
    main()
