"""Circuits as experiments: faithfulness, completeness and minimality, and size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig

if TYPE_CHECKING:
    from interp.methods.circuits.completeness import CircuitPartsResult
    from interp.methods.circuits.faithfulness import FaithfulnessResult
    from interp.methods.circuits.faithfulness_curve import SizeCurveResult
    from interp.methods.common.circuit import Circuit
    from interp.models.base import Model

AblationName = Literal["resample", "mean", "mean_by_position", "mean_by_template", "zero"]
MetricName = Literal["logit_diff", "prob", "kl"]


class CircuitConfig(PairsConfig):
    """A circuit: heads (``9.6``, ``a9.h6``, all of a layer ``a9``), MLPs (``m0``) or edges by name; or a file
    of EAP-IG's JSON. See `interp.read_circuit` for `level` and `grouped`."""

    circuit: str | list[str]
    level: Literal["node", "edge"] | None = None
    grouped: Literal["refuse", "any", "all"] = "refuse"
    ablation: AblationName = "resample"
    metric: MetricName = "logit_diff"
    batch_size: int = 64
    exact: bool | Literal["auto"] = "auto"

    def read(self, model: Model) -> Circuit:
        """The circuit, of `model`."""
        from interp.methods.circuits.files import read_circuit
        from interp.methods.common.circuit import Circuit

        if isinstance(self.circuit, str):
            return read_circuit(self.circuit, model, level=self.level, grouped=self.grouped)
        return Circuit.of(model, self.circuit, level=self.level or "node")


class FaithfulnessConfig(CircuitConfig):
    """See `interp.faithfulness` for what each key means."""

    circuit: str | list[str] = ["a0", "m0", "a1", "m1", "a2", "m2"]  # noqa: RUF012  # pydantic copies it
    compare: Literal["all"] | list[AblationName] = "all"
    keep_mlps: bool = False
    n_random: int = 5


class CircuitPartsConfig(CircuitConfig):
    """See `interp.circuit_parts` for what each key means."""

    circuit: str | list[str] = ["a0", "m0", "a1", "m1", "a2", "m2"]  # noqa: RUF012  # pydantic copies it
    groups: dict[str, list[str]] = {}  # noqa: RUF012  # pydantic copies it
    keep_mlps: bool = False
    n_random: int = 3
    n_greedy: int = 2
    most_members: int = 100


class SizeCurveConfig(CircuitConfig):
    """See `interp.size_curve` for what each key means. Without a `circuit`, a file with scores, all edges (or
    nodes, by `level`) are scored first, by `method`, on other pairs than those of the curve: seed + 1."""

    circuit: str | None = None  # type: ignore[assignment]  # the others need one
    method: Literal["exact", "eap", "eap-ig-inputs", "eap-ig-activations"] = "eap-ig-inputs"
    steps: int = 5
    construction: Literal["greedy", "top"] = "top"
    absolute: bool = True
    n_random: int = 3

    def scored(self, model: Model) -> Circuit:
        """The circuit with the scores that make the order."""
        if self.circuit is not None:
            return self.read(model)
        from interp.methods.attribution.edge_attribution import edge_scores, node_scores

        others = self.model_copy(update={"seed": self.seed + 1}).dataset(model)
        score = node_scores if self.level == "node" else edge_scores
        options = {"method": self.method, "steps": self.steps, "metric": self.metric}
        return score(model, others, **options, batch_size=self.batch_size, seed=self.seed).scored  # type: ignore[arg-type]


_OWN = ("circuit", "level", "grouped")


@experiment("circuit", config=FaithfulnessConfig, shown_by="interp.figures.views.faithfulness")
def run_circuit(config: FaithfulnessConfig, model: Model) -> FaithfulnessResult:
    """Does a circuit do what the model does? Faithfulness, beside random circuits and other ablations."""
    from interp.methods.circuits.faithfulness import faithfulness

    dataset, circuit = config.dataset(model), config.read(model)
    return faithfulness(model, dataset, circuit, **config.arguments(*_OWN), seed=config.seed)


@experiment("circuit_parts", config=CircuitPartsConfig, shown_by="interp.figures.views.completeness")
def run_parts(config: CircuitPartsConfig, model: Model) -> CircuitPartsResult:
    """Does a circuit have all that it needs, and nothing else? Completeness and minimality."""
    from interp.methods.circuits.completeness import circuit_parts

    dataset, circuit = config.dataset(model), config.read(model)
    return circuit_parts(model, dataset, circuit, **config.arguments(*_OWN), seed=config.seed)


@experiment("size_curve", config=SizeCurveConfig, shown_by="interp.figures.views.faithfulness_curve")
def run_curve(config: SizeCurveConfig, model: Model) -> SizeCurveResult:
    """How large must a circuit be? Faithfulness by size, with CPR and CMD, from a file of scores."""
    from interp.methods.circuits.circuit_discovery import greedy
    from interp.methods.circuits.faithfulness_curve import size_curve
    from interp.methods.common.circuit import Circuit

    dataset, scored = config.dataset(model), config.scored(model)
    build = greedy if config.construction == "greedy" else Circuit.top
    arguments = config.arguments(*_OWN, "method", "steps", "construction")
    return size_curve(model, dataset, scored, build=build, **arguments, seed=config.seed)
