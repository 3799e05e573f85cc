"""What a model has beside what it makes up, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interp.experiments.base import AnswerText, ExperimentConfig, experiment

if TYPE_CHECKING:
    from interp.methods.knowledge.results import KnowledgeResult
    from interp.models.base import Model


class KnowledgeConfig(ExperimentConfig):
    """See `interp.knowledge` for what each key means. `data` is ``people`` or ``facts`` (what the demo models
    were told), ``entities`` (famous and invented people, for real models) or ``texts`` (a CSV file); `n`
    entities of each status, with the `options` of its function (`interp.tasks.registry.KNOWN`).
    `interp.load_lens` says what names a lens."""

    data: str = "people"
    n: int | None = 40
    options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it
    abstains: AnswerText | None = None
    lens: str = "logit"
    layer: int | None = None
    strengths: list[float] = [0.1, 0.2, 0.4, 0.8, 1.6]  # noqa: RUF012
    n_random: int = 3
    probe_layers: list[int] | None = None
    k: int = 5


@experiment("knowledge", config=KnowledgeConfig)
def run(config: KnowledgeConfig, model: Model) -> KnowledgeResult:
    """What differs inside between what the model was told and what it makes up?"""
    from interp.methods.knowledge.knowledge import knowledge
    from interp.tasks.datasets import make_known

    options = dict(config.options)
    if config.abstains is not None:
        options["abstains"] = config.abstains
    return knowledge(
        model,
        make_known(config.data, model, n=config.n, seed=config.seed, **options),
        lens=config.lens,
        layer=config.layer,
        strengths=config.strengths,
        n_random=config.n_random,
        probe_layers=config.probe_layers,
        k=config.k,
        seed=config.seed,
    )
