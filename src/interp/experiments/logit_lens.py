"""The logit lens as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import AnswerText, ExperimentConfig, PromptText, experiment
from interp.experiments.edit_text import EditText, read_prompt_edits

if TYPE_CHECKING:
    from interp.methods.lens.results import LogitLensResult
    from interp.models.base import Model


class LogitLensConfig(ExperimentConfig):
    """See `interp.logit_lens` for what each key means, and `interp.load_lens` for what names a lens.
    `interp.experiments.edit_text` says how edits are written, of features of the dictionary `sae` and along
    directions of the file `directions`."""

    MAY_BE_LEFT_OUT = ("answer",)  # then it is the model's own

    prompt: PromptText = "The Eiffel Tower is in the city of"
    answer: AnswerText | None = " Paris"
    position: int | list[int] | Literal["all"] = -1
    site: Literal["resid", "attn_out", "mlp_out"] = "resid"
    k: int = 5
    lens: str = "logit"
    edits: list[EditText] = []  # noqa: RUF012  # pydantic copies it
    sae: str | None = None
    directions: str | None = None


@experiment("logit_lens", config=LogitLensConfig)
def run(config: LogitLensConfig, model: Model) -> LogitLensResult:
    """At which layer does the answer form? The prediction read off after every layer."""
    from interp.methods.lens.logit_lens import logit_lens

    return logit_lens(
        model,
        config.prompt,
        config.answer,
        position=config.position,
        site=config.site,
        k=config.k,
        lens=config.lens,
        edits=read_prompt_edits(config.edits, model, sae=config.sae, directions=config.directions),
        seed=config.seed,
    )
