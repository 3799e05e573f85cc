"""Several lenses on one prompt as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from interp.experiments.base import AnswerText, ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.lens.results import LensesOnPromptResult
    from interp.models.base import Model


class LensesOnPromptConfig(ExperimentConfig):
    """See `interp.lenses_on_prompt`, and `interp.load_lens` for what names a lens."""

    MAY_BE_LEFT_OUT = ("answer",)  # then it is the model's own

    prompt: PromptText = "The Eiffel Tower is in the city of"
    answer: AnswerText | None = " Paris"
    lenses: list[str] = ["logit", "patchscope"]  # noqa: RUF012  # pydantic copies it
    position: int = -1
    k: int = 5
    check_lens: bool = True

    @model_validator(mode="before")
    @classmethod
    def _of_a_tuned_lens(cls, values: Any) -> Any:
        """In configurations of earlier versions, `lens` is the tuned lens beside the logit lens."""
        if not isinstance(values, dict) or "lens" not in values:
            return values
        other = values["lens"] or "tuned"
        return {key: value for key, value in values.items() if key != "lens"} | {"lenses": ["logit", other]}


@experiment("lenses_on_prompt", config=LensesOnPromptConfig)
def run(config: LensesOnPromptConfig, model: Model) -> LensesOnPromptResult:
    """When does the answer form, by each lens? Several lenses side by side on one prompt."""
    from interp.methods.lens.lenses_on_prompt import lenses_on_prompt

    return lenses_on_prompt(
        model,
        config.prompt,
        config.answer,
        lenses=config.lenses,
        position=config.position,
        k=config.k,
        check_lens=config.check_lens,
        seed=config.seed,
    )
