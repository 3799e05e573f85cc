"""Checkpoints of a training: the model as it was at some steps, each in a folder as transformers reads it.

Folders are named by the steps of the optimizer that were taken before, those of both stages counted:
``step0``, ``step15``, ... They lie close at the beginning of each stage, where most changes: a third of them
in the first, at the squares of equal parts of its steps, the rest in the second, the last one at its end.
There are fewer where the first stage ends before it must. Those that are in the folder are not written again:
of another training, take another folder.
"""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from interp.zoo.making.recipes import Recipe
from interp.zoo.making.tokenizer import END_OF_TEXT


def save(model: Any, tokenizer: Any, folder: Path, *, bos: bool) -> None:
    """Write the model (float16, which it becomes) and its tokenizer, as transformers reads them."""
    if model.config.model_type == "gpt2":
        model.config.activation_function = "gelu_new"
    model.half().save_pretrained(folder)
    special = {"eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT}
    if bos:
        special["bos_token"] = END_OF_TEXT
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, clean_up_tokenization_spaces=False, **special
    ).save_pretrained(folder)


class Checkpoints:
    """Where checkpoints of a training go, and after which steps; the last is added by `finish`."""

    def __init__(self, folder: Path, *, number: int, recipe: Recipe) -> None:
        """At most `number` checkpoints, the last one included. ValueError where they do not fit into the
        steps."""
        in_first = number // 3
        in_text = number - in_first - 1
        self.folder = folder
        #: Steps of each stage; 0 of the second is the end of the first.
        self.in_first, self.in_text = (
            _squares(recipe.first_at_most, in_first),
            _squares(recipe.steps, in_text),
        )
        if number < 4 or len(self.in_first) < in_first or len(self.in_text) < in_text:
            raise ValueError(
                f"{number} checkpoints do not fit into the steps of {recipe.name}; take 4 or more"
            )

    def keep(
        self, model: Any, tokenizer: Any, *, first_steps: int, steps: int, first_done: bool, bos: bool
    ) -> None:
        """Save the model where it is planned after so many steps of either stage; it is trained on as it
        was."""
        planned = steps in self.in_text if first_done else first_steps in self.in_first
        if planned and not self._path(first_steps + steps).exists():
            self.finish(model, tokenizer, first_steps + steps, bos=bos)

    def finish(self, model: Any, tokenizer: Any, step: int, *, bos: bool) -> None:
        """Save the model after this step. A folder appears whole or not at all."""
        path = self._path(step)
        unfinished = path.with_name(f".{path.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        save(copy.deepcopy(model), tokenizer, unfinished, bos=bos)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(unfinished, path)

    def _path(self, step: int) -> Path:
        return self.folder / f"step{step}"


def _squares(steps: int, number: int) -> set[int]:
    """The squares of equal parts of so many steps: close at the beginning, the end not among them."""
    return {round(steps * (k / number) ** 2) for k in range(number)}
