"""interp: look inside transformer language models.

The names below load on first use, so that ``import interp`` stays light (neither torch nor
transformers is imported until something needs them).
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "SAE": "interp.saes.dictionary",
    "train_sae": "interp.saes.training",
    "train_saes": "interp.saes.training",
    "gather_documentation": "interp.text.documentation",
    "measure_sae": "interp.saes.metrics",
    "read_sae": "interp.saes.files",
    "sae_benchmark": "interp.methods.features.sae_benchmark",
    "Transcoders": "interp.saes.transcoder",
    "CrossLayerTranscoder": "interp.saes.cross_layer",
    "train_transcoders": "interp.saes.train_transcoders",
    "load_transcoders": "interp.saes.sources",
    "write_transcoders": "interp.saes.transcoder_files",
    "attribution_graph": "interp.methods.graphs.attribution_graph",
    "attention_score_parts": "interp.methods.graphs.attention_score_parts",
    "feature_names": "interp.methods.graphs.names",
    "graph_page": "interp.figures.dashboard.graph_page",
    "scaled_nodes": "interp.methods.graphs.scaled_nodes",
    "scale_nodes": "interp.methods.graphs.scale_nodes",
    "read_graph": "interp.methods.graphs.graph_files",
    "write_graph": "interp.methods.graphs.graph_files",
    "load_sae": "interp.saes.sources",
    "reading_text": "interp.saes.reading",
    "record_features": "interp.saes.reading",
    "prompt_features": "interp.methods.features.prompt_features",
    "sae_features": "interp.methods.features.sae_features",
    "feature_profiles": "interp.methods.features.feature_profiles",
    "describe_features": "interp.methods.features.describe_features",
    "label_features": "interp.methods.features.feature_labels",
    "feature_dashboard": "interp.figures.dashboard.feature_dashboard",
    "write_neuronpedia": "interp.methods.features.neuronpedia",
    "write_sae": "interp.saes.files",
    "neuron_edit": "interp.edits",
    "feature_edit": "interp.saes.edits",
    "feature_effects": "interp.methods.features.feature_effects",
    "feature_ablation": "interp.methods.features.feature_ablation",
    "steering": "interp.methods.steering.steering",
    "knowledge": "interp.methods.knowledge.knowledge",
    "probing": "interp.methods.probing.probing",
    "alignment_search": "interp.methods.probing.alignment_search",
    "Direction": "interp.methods.common.direction",
    "find_directions": "interp.methods.probing.directions",
    "direction_effects": "interp.methods.probing.direction_effects",
    "read_directions": "interp.methods.common.direction",
    "write_directions": "interp.methods.common.direction",
    "generate": "interp.methods.generation.generate",
    "Reader": "interp.methods.generation.readers",
    "lens_reader": "interp.methods.generation.readers",
    "feature_reader": "interp.methods.generation.readers",
    "direction_reader": "interp.methods.generation.readers",
    "ioi": "interp.methods.studies.ioi",
    "Address": "interp.sites",
    "Edit": "interp.edits",
    "EditFrom": "interp.edits",
    "Sample": "interp.sampling",
    "SITES": "interp.sites",
    "Site": "interp.sites",
    "Tokens": "interp.tokens",
    "Model": "interp.models.base",
    "Layout": "interp.models.layouts",
    "Answer": "interp.answers",
    "Readout": "interp.readout",
    "resuming": "interp.resume",
    "plan": "interp.plans.plan",
    "on_processes": "interp.workers.processes",
    "on_ray": "interp.on_ray.cluster",
    "Pair": "interp.tasks.base",
    "PairDataset": "interp.tasks.base",
    "make_dataset": "interp.tasks.datasets",
    "make_labelled": "interp.tasks.datasets",
    "make_known": "interp.tasks.datasets",
    "inspect_dataset": "interp.tasks.inspection",
    "load_model": "interp.models.registry",
    "from_nanogpt": "interp.models.nanogpt",
    "logit_lens": "interp.methods.lens.logit_lens",
    "LensReadings": "interp.methods.lens.columns",
    "causal_tracing": "interp.methods.patching.causal_tracing",
    "activation_patching": "interp.methods.patching.activation_patching",
    "direct_logit_attribution": "interp.methods.attribution.direct_logit_attribution",
    "contrast": "interp.methods.lens.contrast",
    "JacobianLens": "interp.methods.lens.jacobian_lens",
    "TunedLens": "interp.methods.lens.tuned_lens",
    "token_directions": "interp.methods.lens.token_directions",
    "exchange_edits": "interp.methods.lens.exchange",
    "decompose_state": "interp.methods.lens.token_directions",
    "fit_jacobian_lens": "interp.methods.lens.fit_jacobian_lens",
    "load_lens": "interp.methods.lens.sources",
    "lenses_on_prompt": "interp.methods.lens.lenses_on_prompt",
    "tuned_lens": "interp.methods.lens.lenses_on_prompt",  # a former name
    "patched_lens": "interp.methods.lens.patched_lens",
    "train_tuned_lens": "interp.methods.lens.train_tuned_lens",
    "measure_lens": "interp.methods.lens.measure_lens",
    "compare_lenses": "interp.methods.lens.compare_lenses",
    "compare_models": "interp.methods.comparison.compare_models",
    "over_checkpoints": "interp.methods.comparison.over_checkpoints",
    "Asked": "interp.methods.comparison.over_checkpoints",
    "ablation": "interp.methods.ablation.ablation",
    "attention_by_role": "interp.methods.heads.attention_by_role",
    "attention_patterns": "interp.methods.heads.attention_patterns",
    "copying_scores": "interp.methods.heads.copying_scores",
    "head_scores": "interp.methods.heads.head_scores",
    "head_scores_of_patterns": "interp.methods.heads.scores_on_prompts",
    "head_scores_on_prompts": "interp.methods.heads.scores_on_prompts",
    "head_ablation": "interp.methods.ablation.head_ablation",
    "Circuit": "interp.methods.common.circuit",
    "read_circuit": "interp.methods.circuits.files",
    "write_circuit": "interp.methods.circuits.files",
    "faithfulness": "interp.methods.circuits.faithfulness",
    "completeness": "interp.methods.circuits.completeness",
    "faithfulness_curve": "interp.methods.circuits.faithfulness_curve",
    "patching_vs_attribution": "interp.methods.attribution.patching_vs_attribution",
    "Graph": "interp.methods.common.graph",
    "edge_attribution": "interp.methods.attribution.edge_attribution",
    "node_attribution": "interp.methods.attribution.edge_attribution",
    "path_patching": "interp.methods.patching.path_patching",
    "circuit_discovery": "interp.methods.circuits.circuit_discovery",
    "InterpError": "interp.errors",
}

__all__ = [
    "SAE",
    "SITES",
    "Address",
    "Answer",
    "Asked",
    "Circuit",
    "CrossLayerTranscoder",
    "Direction",
    "Edit",
    "EditFrom",
    "Graph",
    "InterpError",
    "JacobianLens",
    "Layout",
    "LensReadings",
    "Model",
    "Pair",
    "PairDataset",
    "Reader",
    "Readout",
    "Sample",
    "Site",
    "Tokens",
    "Transcoders",
    "TunedLens",
    "__version__",
    "ablation",
    "activation_patching",
    "alignment_search",
    "attention_by_role",
    "attention_patterns",
    "attention_score_parts",
    "attribution_graph",
    "causal_tracing",
    "circuit_discovery",
    "compare_lenses",
    "compare_models",
    "completeness",
    "contrast",
    "copying_scores",
    "decompose_state",
    "describe_features",
    "direct_logit_attribution",
    "direction_effects",
    "direction_reader",
    "edge_attribution",
    "exchange_edits",
    "faithfulness",
    "faithfulness_curve",
    "feature_ablation",
    "feature_dashboard",
    "feature_edit",
    "feature_effects",
    "feature_names",
    "feature_profiles",
    "feature_reader",
    "find_directions",
    "fit_jacobian_lens",
    "from_nanogpt",
    "gather_documentation",
    "generate",
    "graph_page",
    "head_ablation",
    "head_scores",
    "head_scores_of_patterns",
    "head_scores_on_prompts",
    "inspect_dataset",
    "ioi",
    "knowledge",
    "label_features",
    "lens_reader",
    "lenses_on_prompt",
    "load_lens",
    "load_model",
    "load_sae",
    "load_transcoders",
    "logit_lens",
    "make_dataset",
    "make_known",
    "make_labelled",
    "measure_lens",
    "measure_sae",
    "neuron_edit",
    "node_attribution",
    "on_processes",
    "on_ray",
    "over_checkpoints",
    "patched_lens",
    "patching_vs_attribution",
    "path_patching",
    "plan",
    "probing",
    "prompt_features",
    "read_circuit",
    "read_directions",
    "read_graph",
    "read_sae",
    "reading_text",
    "record_features",
    "resuming",
    "sae_benchmark",
    "sae_features",
    "scale_nodes",
    "scaled_nodes",
    "steering",
    "token_directions",
    "train_sae",
    "train_saes",
    "train_transcoders",
    "train_tuned_lens",
    "write_circuit",
    "write_directions",
    "write_graph",
    "write_neuronpedia",
    "write_sae",
    "write_transcoders",
]

if TYPE_CHECKING:
    from interp.answers import Answer
    from interp.edits import Edit, EditFrom, neuron_edit
    from interp.errors import InterpError
    from interp.figures.dashboard.feature_dashboard import feature_dashboard
    from interp.figures.dashboard.graph_page import graph_page
    from interp.methods.ablation.ablation import ablation
    from interp.methods.ablation.head_ablation import head_ablation
    from interp.methods.attribution.direct_logit_attribution import direct_logit_attribution
    from interp.methods.attribution.edge_attribution import edge_attribution, node_attribution
    from interp.methods.attribution.patching_vs_attribution import patching_vs_attribution
    from interp.methods.circuits.circuit_discovery import circuit_discovery
    from interp.methods.circuits.completeness import completeness
    from interp.methods.circuits.faithfulness import faithfulness
    from interp.methods.circuits.faithfulness_curve import faithfulness_curve
    from interp.methods.circuits.files import read_circuit, write_circuit
    from interp.methods.common.circuit import Circuit
    from interp.methods.common.direction import Direction, read_directions, write_directions
    from interp.methods.common.graph import Graph
    from interp.methods.comparison.compare_models import compare_models
    from interp.methods.comparison.over_checkpoints import Asked, over_checkpoints
    from interp.methods.features.describe_features import describe_features
    from interp.methods.features.feature_ablation import feature_ablation
    from interp.methods.features.feature_effects import feature_effects
    from interp.methods.features.feature_labels import label_features
    from interp.methods.features.feature_profiles import feature_profiles
    from interp.methods.features.neuronpedia import write_neuronpedia
    from interp.methods.features.prompt_features import prompt_features
    from interp.methods.features.sae_benchmark import sae_benchmark
    from interp.methods.features.sae_features import sae_features
    from interp.methods.generation.generate import generate
    from interp.methods.generation.readers import Reader, direction_reader, feature_reader, lens_reader
    from interp.methods.graphs.attention_score_parts import attention_score_parts
    from interp.methods.graphs.attribution_graph import attribution_graph
    from interp.methods.graphs.graph_files import read_graph, write_graph
    from interp.methods.graphs.names import feature_names
    from interp.methods.graphs.scale_nodes import scale_nodes
    from interp.methods.graphs.scaled_nodes import scaled_nodes
    from interp.methods.heads.attention_by_role import attention_by_role
    from interp.methods.heads.attention_patterns import attention_patterns
    from interp.methods.heads.copying_scores import copying_scores
    from interp.methods.heads.head_scores import head_scores
    from interp.methods.heads.scores_on_prompts import head_scores_of_patterns, head_scores_on_prompts
    from interp.methods.knowledge.knowledge import knowledge
    from interp.methods.lens.columns import LensReadings
    from interp.methods.lens.compare_lenses import compare_lenses
    from interp.methods.lens.contrast import contrast
    from interp.methods.lens.exchange import exchange_edits
    from interp.methods.lens.fit_jacobian_lens import fit_jacobian_lens
    from interp.methods.lens.jacobian_lens import JacobianLens
    from interp.methods.lens.lenses_on_prompt import lenses_on_prompt
    from interp.methods.lens.logit_lens import logit_lens
    from interp.methods.lens.measure_lens import measure_lens
    from interp.methods.lens.patched_lens import patched_lens
    from interp.methods.lens.sources import load_lens
    from interp.methods.lens.token_directions import decompose_state, token_directions
    from interp.methods.lens.train_tuned_lens import train_tuned_lens
    from interp.methods.lens.tuned_lens import TunedLens
    from interp.methods.patching.activation_patching import activation_patching
    from interp.methods.patching.causal_tracing import causal_tracing
    from interp.methods.patching.path_patching import path_patching
    from interp.methods.probing.alignment_search import alignment_search
    from interp.methods.probing.direction_effects import direction_effects
    from interp.methods.probing.directions import find_directions
    from interp.methods.probing.probing import probing
    from interp.methods.steering.steering import steering
    from interp.methods.studies.ioi import ioi
    from interp.models.base import Model
    from interp.models.layouts import Layout
    from interp.models.nanogpt import from_nanogpt
    from interp.models.registry import load_model
    from interp.on_ray.cluster import on_ray
    from interp.plans.plan import plan
    from interp.readout import Readout
    from interp.resume import resuming
    from interp.saes.cross_layer import CrossLayerTranscoder
    from interp.saes.dictionary import SAE
    from interp.saes.edits import feature_edit
    from interp.saes.files import read_sae, write_sae
    from interp.saes.metrics import measure_sae
    from interp.saes.reading import reading_text, record_features
    from interp.saes.sources import load_sae, load_transcoders
    from interp.saes.train_transcoders import train_transcoders
    from interp.saes.training import train_sae, train_saes
    from interp.saes.transcoder import Transcoders
    from interp.saes.transcoder_files import write_transcoders
    from interp.sampling import Sample
    from interp.sites import SITES, Address, Site
    from interp.tasks.base import Pair, PairDataset
    from interp.tasks.datasets import make_dataset, make_known, make_labelled
    from interp.tasks.inspection import inspect_dataset
    from interp.text.documentation import gather_documentation
    from interp.tokens import Tokens
    from interp.workers.processes import on_processes


#: What functions were called, and what they are called now.
_FORMER_NAMES = {
    "ablate": "ablation",
    "ablate_features": "feature_ablation",
    "circuit_parts": "completeness",
    "discover": "circuit_discovery",
    "edge_scores": "edge_attribution",
    "knock_out": "head_ablation",
    "node_scores": "node_attribution",
    "patch_sweep": "activation_patching",
    "size_curve": "faithfulness_curve",
    "steer": "steering",
}


def __getattr__(name: str) -> Any:
    if name == "widgets":
        return import_module("interp.widgets")
    if name in _FORMER_NAMES:
        from interp.errors import InterpDeprecation

        now = _FORMER_NAMES[name]
        warnings.warn(f"interp.{name} is called interp.{now} now.", InterpDeprecation, stacklevel=2)
        name = now
    if name not in _HOME:
        raise AttributeError(f"module 'interp' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
