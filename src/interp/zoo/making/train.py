"""Makes a demo model from a seed: its text, its tokenizer, its weights, its figures and its card.

    python -m interp.zoo.making.train demo-gpt2 [--seed 0] [--steps N] [--out DIR]

Steps: 1. the table of people and the tokenizer; 2. the model with fresh weights; 3. training on sequences
drawn from the seed; 4. the weights in float16, read back and measured in float32; 5. the card. With
the same seed, versions and number of threads the result is the same. Progress is saved to a temporary file
every hundred steps: a stopped run goes on from there when it is started again with the same arguments.
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
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from interp.zoo.making.behaviours import Behaviours, measure
from interp.zoo.making.card import write_card
from interp.zoo.making.recipes import RECIPES, Recipe
from interp.zoo.making.tokenizer import END_OF_TEXT, build_tokenizer
from interp.zoo.making.training import Trainer, print_figures, train

FOLDER = Path(__file__).parents[1]


def save(model: Any, tokenizer: Any, folder: Path, *, bos: bool) -> None:
    """Write the model (float16) and its tokenizer in Hugging Face's format into a folder."""
    if model.config.model_type == "gpt2":
        model.config.activation_function = "gelu_new"
    model.half().save_pretrained(folder)
    special = {"eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT}
    if bos:
        special["bos_token"] = END_OF_TEXT
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, clean_up_tokenization_spaces=False, **special
    ).save_pretrained(folder)


def load(folder: Path) -> tuple[Any, Any]:
    """The stored model in float32, and its ``tokenizers.Tokenizer``."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))


def make(recipe: Recipe, *, out: Path, console: Console) -> Behaviours:
    """The whole of it: tokenizer, training, measurement, card. ``out`` appears only when all is done."""
    tokenizer = build_tokenizer(seed=recipe.seed)
    trainer = train(recipe, tokenizer, console=console)
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
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the model (default: in the package)"
    )
    options = parser.parse_args()
    base = RECIPES[options.name]
    recipe = Recipe(**{**asdict(base), "seed": options.seed, "steps": options.steps or base.steps})
    console = Console(soft_wrap=True, highlight=False)
    out = options.out or FOLDER / options.name
    make(recipe, out=out, console=console)
    console.print(f"wrote {out}")


if __name__ == "__main__":
    main()
