"""Direct logit attribution as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import AnswerText, ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.attribution.results import DirectLogitAttributionResult
    from interp.models.base import Model


class DirectLogitAttributionConfig(ExperimentConfig):
    """See `interp.direct_logit_attribution` for what each key means."""

    prompt: PromptText | list[str] = "When John and Mary went to the store, John gave a drink to"
    answer: AnswerText | list[AnswerText] = " Mary"
    foil: AnswerText | list[AnswerText] | None = " John"
    position: int = -1
    views: Literal["all"] | list[Literal["head", "source", "neuron"]] = "all"
    k: int = 10


@experiment("direct_logit_attribution", config=DirectLogitAttributionConfig)
def run(config: DirectLogitAttributionConfig, model: Model) -> DirectLogitAttributionResult:
    """Which parts of the model write the answer? Its logit as a sum over heads, MLPs and the rest."""
    from interp.methods.attribution.direct_logit_attribution import direct_logit_attribution

    arguments = config.model_dump(exclude=set(ExperimentConfig.model_fields))
    return direct_logit_attribution(model, **arguments, seed=config.seed)
