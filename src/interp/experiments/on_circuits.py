"""Configurations of experiments on a circuit: where it comes from, and what is ablated outside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.on_pairs import PairsConfig
from interp.methods.circuits.files import Grouped, read_circuit
from interp.methods.circuits.results import Ablation
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Level
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.tasks.base import PairDataset

#: Keys of a circuit's configuration that are not arguments of the method.
OWN = ("circuit", "level", "grouped")


class CircuitConfig(PairsConfig):
    """A circuit: heads (``9.6``, ``a9.h6``, all of a layer ``a9``), MLPs (``m0``) or edges by name; or a file
    of EAP-IG's JSON. See `interp.read_circuit` for `level` and `grouped`."""

    circuit: str | list[str] = ["a0", "m0", "a1", "m1", "a2", "m2"]  # noqa: RUF012  # pydantic copies it
    level: Level | None = None
    grouped: Grouped = "refuse"
    ablation: Ablation = "resample"
    metric: MetricKind = "logit_diff"
    batch_size: int = 64
    exact: bool | Literal["auto"] = "auto"

    def check(self, model: Model, dataset: PairDataset) -> None:
        if self.circuit is not None:
            self.read(model)

    @property
    def by_template(self) -> bool:
        return self.ablation == "mean_by_template"

    def read(self, model: Model) -> Circuit:
        """The circuit, of `model`."""
        if isinstance(self.circuit, str):
            return read_circuit(self.circuit, model, level=self.level, grouped=self.grouped)
        return Circuit.of(model, self.circuit, level=self.level or "node")
