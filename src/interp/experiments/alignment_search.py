"""Distributed alignment search, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig

if TYPE_CHECKING:
    from interp.methods.probing.results import AlignmentSearchResult
    from interp.models.base import Model


class AlignmentSearchConfig(PairsConfig):
    """See `interp.alignment_search` for what each key means, and `PairsConfig` for the prompts, of which the
    clean ones are used."""

    n: int | None = 200
    variable: Literal["answer", "order"] = "answer"
    site: str = "resid_post"
    layers: list[int] | None = None
    role: str = "END"
    dims: list[int] = [1, 2, 4, 8]  # noqa: RUF012  # pydantic copies it
    steps: int = 200
    batch_size: int = 32
    learning_rate: float = 0.02
    per_base: int = 4
    n_shuffled: int = 1
    n_random: int = 3
    untrained: bool = True


@experiment("alignment_search", config=AlignmentSearchConfig)
def run(config: AlignmentSearchConfig, model: Model) -> AlignmentSearchResult:
    """Is there a subspace that holds a named variable, and would any other do as well?"""
    from interp.methods.probing.alignment_search import alignment_search
    from interp.tasks.datasets import make_dataset

    made = make_dataset(config.task, model, n=config.n, seed=config.seed, **config.options)
    only_answered = config.pairs == "correct"
    return alignment_search(model, made, **config.arguments(), only_answered=only_answered, seed=config.seed)
