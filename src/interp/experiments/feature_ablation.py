"""Knock-outs of the features that a task rests on, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig
from interp.experiments.on_saes import SAEConfig
from interp.experiments.on_text import reading_of

if TYPE_CHECKING:
    from interp.methods.features.results import FeatureAblationResult
    from interp.models.base import Model


class FeatureAblationConfig(SAEConfig):
    """See `interp.feature_ablation` for what each key means. `task`, `n`, `options` and `pairs` are those of
    `PairsConfig`; `others` names other tasks, of as many pairs each; `text` is "demo" (for the demo models)
    or a text file, of which `sequences` of `length` tokens are read (`interp.reading_text`)."""

    task: str = "indirect_objects"
    n: int | None = 40
    options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it
    pairs: Literal["correct", "all"] = "correct"
    others: list[str] = ["facts"]  # noqa: RUF012
    text: str = "demo"
    sequences: int = 32
    length: int = 128
    sizes: list[int] = [1, 2, 4, 8, 16, 32]  # noqa: RUF012
    n_random: int = 3
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 16


@experiment("feature_ablation", config=FeatureAblationConfig)
def run(config: FeatureAblationConfig, model: Model) -> FeatureAblationResult:
    """What does a task lose without the features that it rests on, and what do others lose?"""
    from interp.errors import check_choice
    from interp.methods.features.feature_ablation import check_sizes, feature_ablation
    from interp.tasks.registry import TASKS

    sae = config.dictionary(model)
    asked: Any = {"n": config.n, "pairs": config.pairs, "seed": config.seed}
    for task in config.others:
        check_choice("task", task, TASKS)
    check_sizes(config.sizes, config.n_random)
    text = reading_of(config, model).sequences
    own = PairsConfig(task=config.task, options=config.options, **asked).dataset(model)
    others = [PairsConfig(task=task, **asked).dataset(model) for task in config.others]
    return feature_ablation(
        model,
        sae,
        own,
        text,
        others=others,
        sizes=config.sizes,
        n_random=config.n_random,
        exact=config.exact,
        batch_size=config.batch_size,
        seed=config.seed,
    )
