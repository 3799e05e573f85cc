"""What experiments on prompts with a label each share: which prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interp.experiments.base import ExperimentConfig

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.tasks.labelled import LabelledDataset


class LabelledConfig(ExperimentConfig):
    """`data` names a labelled dataset (``people``, ``tokens``, ``pairs``, ``sets`` or ``texts``, a CSV file),
    `options` are those of its function (`interp.tasks.registry.LABELLED`)."""

    data: str = "people"
    n: int | None = 320
    options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it

    def labelled(self, model: Model) -> LabelledDataset:
        """The prompts, for `model`."""
        from interp.tasks.datasets import make_labelled

        return make_labelled(self.data, model, n=self.n, seed=self.seed, **self.options)
