"""What experiments that train on text share: the text, and which part of it is held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.saes.reading import ReadingText


def reading_of(config: ExperimentConfig, model: Model) -> ReadingText:
    """The text that features are read on, by the keys `text`, `sequences`, `length` and `seed` of an
    experiment, and `field` where it has one; see `interp.reading_text`."""
    from interp.saes.reading import reading_text

    asked = config.model_dump(include={"text", "sequences", "length", "seed", "field"})
    return reading_text(model, asked.pop("text"), **asked)


class TextConfig(ExperimentConfig):
    """`text` is "demo" (for the demo models), a text, .jsonl or .parquet file, or ``hf:`` and the name of a
    dataset on the hub; `field` is where a record keeps its text. `training` and `held_out` are numbers of
    sequences of `length` tokens."""

    text: str = "demo"
    field: str = "text"
    training: int = 400
    held_out: int = 32
    length: int = 128

    def load_text(self, model: Model) -> tuple[list[list[int]], list[list[int]]]:
        """The sequences to train on, and those to measure on."""
        from interp.text.sequences import load_text

        return load_text(
            model,
            self.text,
            training=self.training,
            held_out=self.held_out,
            length=self.length,
            seed=self.seed,
            field=self.field,
        )

    @property
    def held_out_text(self) -> str:
        """In words, what is measured on."""
        return f"{self.held_out} held-out sequences of {self.length} tokens of {self.text!r}"
