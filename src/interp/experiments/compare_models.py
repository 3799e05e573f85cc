"""Two models side by side as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from interp.errors import InputError
from interp.experiments.base import experiment, load_for
from interp.experiments.on_text import TextConfig

if TYPE_CHECKING:
    from interp.methods.comparison.results import CompareModelsResult
    from interp.models.base import Model


class CompareModelsConfig(TextConfig):
    """See `interp.compare_models` for what each key means, and `TextConfig` for the text, of which what is
    held out is read (``none``: no text). `other` is the second model, loaded as the first but for its
    `other_revision` and `other_dtype`; None: the first one's name. `tasks` are names, or names with the
    options of each task; `n` prompts of each."""

    other: str | None = None
    other_revision: str | None = None
    other_dtype: Literal["float32", "float64", "bfloat16", "float16", "auto"] | None = None
    training: int = 1
    held_out: int = 8
    length: int = 64
    tasks: list[str] | dict[str, dict[str, Any]] = ["indirect_objects"]  # noqa: RUF012  # pydantic copies it
    n: int | None = 20
    stitch: list[str] = ["resid_pre", "attn_out", "mlp_out", "z"]  # noqa: RUF012  # pydantic copies it
    metric: Literal["logit_diff", "prob", "log_prob"] = "logit_diff"
    untrained: bool = True

    def load_other(self, model: Model) -> Model:
        """The second model. `InputError` where nothing tells it from the first, and where there is no room
        for it."""
        from interp.methods.comparison.comparable import check_room

        if (self.other, self.other_revision, self.other_dtype) == (None, None, None):
            raise InputError(
                "There is one model; name the other as other=NAME, or say its other_revision or other_dtype."
            )
        check_room(model, 2 if self.untrained and self.text != "none" else 1)
        return load_for(
            self.model_copy(
                update={
                    "model": self.other or self.model,
                    "revision": self.other_revision or (self.revision if self.other is None else None),
                    "dtype": self.other_dtype or self.dtype,
                }
            )
        )


@experiment("compare_models", config=CompareModelsConfig)
def run(config: CompareModelsConfig, model: Model) -> CompareModelsResult:
    """Where do two models of one architecture differ, and which part makes the difference?"""
    from interp.methods.comparison.compare_models import check_stitches, compare_models
    from interp.tasks.datasets import make_dataset

    check_stitches(model, config.stitch)
    tasks = {name: {} for name in config.tasks} if isinstance(config.tasks, list) else config.tasks
    datasets = [
        make_dataset(name, model, n=config.n, seed=config.seed, **options) for name, options in tasks.items()
    ]
    text = [] if config.text == "none" else config.load_text(model)[1]
    return compare_models(
        model,
        config.load_other(model),
        text=text,
        datasets=datasets,
        stitch=config.stitch,
        metric=config.metric,
        untrained=config.untrained,
        described=config.held_out_text,
        seed=config.seed,
    )
