"""What experiments on a dataset of pairs share: its name and options, and that the model can do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from interp.experiments.base import ExperimentConfig

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.tasks.base import PairDataset

    Check = Callable[[Model, PairDataset], None]


class PairsConfig(ExperimentConfig):
    """A task by its name, such as ``indirect_objects``, with the options of its function."""

    task: str = "indirect_objects"
    n: int | None = 20
    options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it
    pairs: Literal["correct", "all"] = (
        "correct"  # without those of which the model cannot do the clean prompt
    )

    def dataset(self, model: Model, *, check: Check | None = None) -> PairDataset:
        """The pairs, for `model`, after `check`. What was left out is in `PairDataset.dropped`."""
        from interp.tasks.datasets import make_dataset
        from interp.tasks.inspection import drop_failures, inspect_dataset

        made = make_dataset(self.task, model, n=self.n, seed=self.seed, **self.options)
        (check or self.check)(model, made)
        if self.pairs == "correct":
            made = drop_failures(made, inspect_dataset(model, made))
        return made.without_lone() if self.by_template else made

    def check(self, model: Model, dataset: PairDataset) -> None:
        """Refuse names of parts and roles that the model or the dataset does not have, before any prompt is
        run."""

    @property
    def by_template(self) -> bool:
        """Whether there must be a mean over prompts of the same template, so that each needs another one."""
        return False

    def arguments(self, *others: str) -> dict[str, Any]:
        """What the method takes by the same name: all fields but those of the dataset and of `others`."""
        return self.model_dump(exclude={*PairsConfig.model_fields, *others})


class PromptsOrTaskConfig(ExperimentConfig):
    """Prompts of one's own; or, with a `task` (and its `n`, `options` and `pairs`, see `PairsConfig`), those
    of a dataset. A subclass names the keys of the prompts in `OWN_PROMPTS`."""

    OWN_PROMPTS: ClassVar[tuple[str, ...]] = ()

    task: str | None = None
    n: int | None = 20
    options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it
    pairs: Literal["correct", "all"] = "correct"

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A task takes the place of the prompts; what is left over of these would be misleading."""
        if values.get("task") is None:
            return values
        given = [key for key in cls.OWN_PROMPTS if values.get(key) is not None]
        if given:
            raise ValueError(f"has both a task and {', '.join(given)}; leave one of them out")
        return values | dict.fromkeys(cls.OWN_PROMPTS)

    def dataset(self, model: Model) -> PairDataset | None:
        """The pairs of the task, for `model`; None where there are prompts instead."""
        if self.task is None:
            return None
        task = PairsConfig(task=self.task, n=self.n, options=self.options, pairs=self.pairs, seed=self.seed)
        return task.dataset(model, check=self.check)

    def check(self, model: Model, dataset: PairDataset) -> None:
        """As `PairsConfig.check`, of the pairs of a task."""
