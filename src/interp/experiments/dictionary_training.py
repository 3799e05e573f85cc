"""What experiments that train dictionaries share: the recipe, and where the dictionary is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from interp.experiments.on_text import TextConfig

if TYPE_CHECKING:
    from interp.saes.recipe import Recipe


class DictionaryTrainingConfig(TextConfig):
    """See `TextConfig` for the text, and for the rest `interp.saes.recipe.Recipe`. `save_to` is a new folder,
    in SAELens's layout and in `save_dtype`; what is kept is measured."""

    #: Keys of the recipe, but the number of features.
    RECIPE: ClassVar[frozenset[str]] = frozenset(
        {"kind", "k", "levels", "penalty", "steps", "learning_rate", "warm_up", "decay", "auxiliary"}
    ) | {"silent_after", "seed"}
    #: Keys that are kept beside the weights.
    RECORDED: ClassVar[frozenset[str]] = RECIPE | {"text", "training", "length", "batch_size"}

    training: int = 4000
    kind: Literal["topk", "batchtopk", "matryoshka", "jumprelu", "gated", "standard"] = "topk"
    k: int = 32
    levels: int = 4
    penalty: float = 1e-3
    steps: int = 2000
    batch_size: int = 1024
    buffered: int = 256
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    decay: float = 0.2
    auxiliary: float = 1 / 32
    silent_after: int = 100
    save_to: str | None = None
    save_dtype: Literal["float32", "float16"] = "float32"

    def recipe(self, n_features: int) -> Recipe:
        """How a dictionary of so many features is trained."""
        from interp.saes.recipe import Recipe

        return Recipe(n_features=n_features, **self.model_dump(include=set(self.RECIPE)))

    def recorded(self) -> dict[str, Any]:
        """What is kept beside the weights of how they were made."""
        from interp.saes.metrics import EXCLUDED

        return {**self.model_dump(include=set(self.RECORDED)), "excluded": EXCLUDED}
