"""The default configuration of every experiment runs on any supported model, or is refused for a fact."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import interp
from families import _COMMON, FAMILIES
from interp import zoo
from interp.errors import DegeneratePairError, SiteError
from interp.experiments.base import all_experiments

#: They need a dictionary that was trained on the model.
WITH_A_DICTIONARY = {"feature_ablation", "feature_effects", "prompt_features", "steering", "train_sae"}
WITH_A_DICTIONARY |= {"describe_features"}
WITH_A_DICTIONARY |= {
    "attention_score_parts",
    "attribution_graph",
    "sae_benchmark",
    "scale_nodes",
    "train_transcoders",
}
#: They need another model, or several, by name.
WITH_OTHERS = {"compare_models", "over_checkpoints"}
#: Less of what takes time; a model with random weights can do no task, so all pairs are kept.
LESS: dict[str, Any] = {"pairs": "all", "n": 6, "n_random": 1, "n_greedy": 0, "n_texts": 1, "n_reference": 4}
LESS |= {"text_length": 16, "copy_length": 6, "training": 8, "held_out": 2, "length": 16}
OF_ONE: dict[str, dict[str, Any]] = {
    "alignment_search": {"n": 60, "steps": 2, "dims": [1]},
    "ioi": {"n": 4, "templates": ["Then, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to"]},
    "head_scores": {"n": 2, "length": 8},
    "circuit_discovery": {"n_members": 10},
    "direction_effects": {"n": 8},  # two people of each kind in either half
    "train_jacobian_lens": {"length": 20},
}
#: Norms behind attention and MLP, experts, parallel blocks, one head for keys, attention sinks.
CHOSEN = ("gemma2", "mixtral", "gpt_neox", "falcon", "gpt_oss")


def with_words(family: str) -> interp.Model:
    """A tiny model of a family, with random weights and the demo models' vocabulary."""
    tokenizer = AutoTokenizer.from_pretrained(str(zoo.path("demo-gpt2")))
    kind, special = FAMILIES[family]
    words = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 0}
    config = AutoConfig.for_model(kind, **{**_COMMON, **special, **words})
    model = AutoModelForCausalLM.from_config(config).eval()
    return interp.load_model(model, tokenizer, device="cpu", self_check=False)


@pytest.mark.slow
@pytest.mark.parametrize("family", CHOSEN)
def test_defaults_run(family):
    model = with_words(family)
    for name, experiment in sorted(all_experiments().items()):
        if name in WITH_A_DICTIONARY | WITH_OTHERS:
            continue
        less = LESS | OF_ONE.get(name, {})
        values = {key: value for key, value in less.items() if key in experiment.config.model_fields}
        try:
            result = experiment.run(experiment.make_config(values), model)
        except DegeneratePairError:
            continue  # with random weights, answers hardly differ
        except SiteError:
            without_attention = {"pattern", "q", "k", "v"} - set(model.sites)
            if not without_attention:
                raise
            continue
        assert result.provenance.model == model.identity.name
