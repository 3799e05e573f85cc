"""Other experiments over the checkpoints of a training, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from interp.experiments.base import ExperimentConfig, experiment

if TYPE_CHECKING:
    from interp.methods.comparison.results import OverCheckpointsResult
    from interp.models.base import Model


class Measured(TypedDict):
    """An experiment, its settings, and the numbers that are read of its result, each by a name ("panel:
    line") and a path."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    run: str
    read: dict[str, str]
    settings: NotRequired[dict[str, Any]]


INDUCTION = Measured(  # type: ignore[typeddict-item]  # pydantic's own key is none of the values
    run="head_scores",
    read={"highest induction score": "attention.2.max"},
    settings={"n": 4, "n_ablated": 0},
)


class OverCheckpointsConfig(ExperimentConfig):
    """See `interp.over_checkpoints`. `checkpoints` are folders and revisions on the hub (``id@revision``, or
    ``@revision`` of the `model`), or one folder that holds a checkpoint in each of its folders; they are
    loaded as the `model`, which is what they are held against. `measures` are what is asked of each."""

    checkpoints: str | list[str] = []  # noqa: RUF012  # pydantic copies it
    measures: list[Measured] = [INDUCTION]  # noqa: RUF012
    steps: list[float] | None = None


@experiment("over_checkpoints", config=OverCheckpointsConfig)
def run(config: OverCheckpointsConfig, model: Model) -> OverCheckpointsResult:
    """What comes when in training? Other experiments over the checkpoints of a model."""
    from interp.methods.comparison.over_checkpoints import Asked, over_checkpoints

    asked = [
        Asked(run=one["run"], read=one["read"], settings=one.get("settings", {})) for one in config.measures
    ]
    load = config.model_dump(
        include={
            "backend", "device", "dtype", "bos", "processing", "self_check", "memory", "trust_remote_code",
            "token_names",
        }
    )  # fmt: skip
    return over_checkpoints(
        asked, config.checkpoints, model=model, steps=config.steps, load=load, seed=config.seed
    )
