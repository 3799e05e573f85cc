"""Names are checked before any prompt is run: a wrong one costs no forward pass, in any experiment."""

from __future__ import annotations

from typing import Any

import pytest

import interp
from interp.errors import ConfigError, InterpError
from interp.experiments.base import all_experiments, find_experiment, overridden

#: experiment -> configurations with a name that the model, the dataset or the dictionary does not have.
WRONG: dict[str, list[dict[str, Any]]] = {
    "ablation": [{"what": ["9.0"]}, {"what": ["0.77"]}, {"task": "no_such_task"}],
    "activation_patching": [
        {"site": "resid_prr"},
        {"answer": "<999999>"},
        {"task": "indirect_objects", "site": "resid_prr", "n": 4},
        {"task": "indirect_objects", "site": "z", "by": "neuron", "n": 4},
    ],
    "attention_by_role": [{"between": [["END", "WHO"]], "n": 4}],
    "attention_patterns": [{"heads": ["9.0"]}, {"heads": [[0, 77]]}],
    "attention_score_parts": [{"transcoders": "nowhere"}, {"head": 77}, {"key": 99}, {"query": 1, "key": 2}],
    "attribution_graph": [{"answer": "<999999>"}, {"transcoders": "nowhere"}, {"prompt": ""}],
    "scale_nodes": [{"transcoders": "nowhere"}, {"answer": "<999999>"}, {"group": "a"}, {"n": 0}],
    "causal_tracing": [
        {"answer": "<999999>"},
        {"foil": "<999999>"},
        {"corruption": "noise", "corrupted": None},
    ],
    "circuit_discovery": [{"task": "no_such_task"}, {"n_members": 10**9, "n": 4, "pairs": "all"}],
    "compare_lenses": [
        {"lenses": ["nowhere"]},
        {"shuffled": ["nowhere"]},
        {"controls": ["nowhere"]},
        {"other_models": ["nowhere"]},
        {"widths": [0]},
        {"text": "no file"},
    ],
    "completeness": [{"circuit": ["9.0"], "n": 4}, {"groups": {"movers": ["9.0"]}, "n": 4}],
    "contrast": [{"target": "<999999>"}, {"competitor": "<999999>"}, {"position": 99}, {"lens": "no folder"}],
    "copying_scores": [{"roles": ["WHO"], "n": 4}],
    "direct_logit_attribution": [{"answer": "<999999>"}, {"position": 99}],
    "direction_effects": [
        {"data": "no_such"},
        {"answer": "<999999>"},
        {"role": "WHO"},
        {"layer": 77},
        {"site": "resid_prr"},
        {"other": "no_such"},
    ],
    "faithfulness": [{"circuit": ["9.0"], "n": 4}, {"circuit": ["m9"], "n": 4}],
    "faithfulness_curve": [{"circuit": "no/such/file.json", "n": 4}],
    "feature_ablation": [
        {"others": ["no_such_task"]},
        {"sae": "no/such"},
        {"text": "no file"},
        {"sizes": [0]},
    ],
    "feature_effects": [
        {"answer": "<999999>"},
        {"sae": "no folder", "task": "facts", "n": 4},
        {"task": "indirect_objects", "roles": ["WHO"], "n": 4},
    ],
    "alignment_search": [
        {"task": "no_such"},
        {"role": "WHO"},
        {"layers": [77]},
        {"site": "z"},
        {"dims": [2, 1]},
        {"dims": [10**6]},
        {"task": "facts", "n": 10},
    ],
    "generate": [
        {"lens_layer": 99, "lens_tokens": [" Paris"]},
        {"lens_tokens": ["<999999>"]},
        {"edits": [{"op": "zero", "at": "blocks.99.hook_mlp_out"}]},
        {"edits": [{"op": "zeros", "at": "blocks.1.hook_mlp_out"}]},
        {"edits": [{"op": "ablate", "features": [10**6]}], "sae": "demo-gpt2"},
        {"edits": [{"op": "ablate", "features": [1]}]},
        {"features": [1]},
        {"stop": ["<999999>"]},
        {"prompt": [{"role": "user", "content": "no template"}]},
        {"top_p": 0.5},
    ],
    "head_ablation": [{"heads": ["9.0"]}, {"answer": "<999999>"}, {"kinds": ["zeros"]}],
    "head_scores": [{"length": 0}],
    "ioi": [{"templates": "no_such"}, {"names": ["Johnx", "Mary"]}],
    "lenses_on_prompt": [
        {"answer": "<999999>"},
        {"position": 99},
        {"lenses": []},
        {"lenses": ["logit", "no folder"]},
    ],
    "logit_lens": [{"answer": "<999999>"}, {"position": 99}, {"lens": "no folder"}],
    "compare_models": [
        {},
        {"other": "demo-qwen3"},
        {"other": "no folder"},
        {"other": "demo-gpt2", "stitch": ["q"]},
        {"other": "demo-gpt2", "tasks": ["no_such_task"]},
        {"other": "demo-gpt2", "text": "no file"},
    ],
    "knowledge": [
        {"data": "no_such"},
        {"n": 10**6},
        {"options": {"wordings": "taugt"}},
        {"layer": 77},
        {"lens": "no folder"},
        {"strengths": [0.5, 0.1]},
        {"data": "entities", "abstains": "<999999>"},
    ],
    "sae_benchmark": [
        {"site": "resid_prr"},
        {"text": "no file"},
        {"settings": [{"kind": "topk", "sparsity": 3}]},
        {"settings": [{"kind": "topkk"}]},
    ],
    "patching_vs_attribution": [{"task": "no_such_task"}],
    "over_checkpoints": [
        {},
        {"checkpoints": ["no folder"]},
        {"checkpoints": ["demo-qwen3"]},
        {"checkpoints": ["demo-gpt2"], "measures": [{"run": "no_such", "read": {"x": "y"}}]},
        {"checkpoints": ["demo-gpt2"], "steps": [1.0, 2.0]},
    ],
    "patched_lens": [
        {"source_cell": [99, 0]},
        {"target_cell": [0, 99]},
        {"answer": "<999999>"},
        {"lens": "no folder"},
    ],
    "path_patching": [{"receivers": ["9.0"], "n": 4}, {"senders": ["0.77"], "n": 4}, {"role": "WHO", "n": 4}],
    "probing": [
        {"data": "no_such"},
        {"roles": ["WHO"]},
        {"layers": [77]},
        {"site": "resid_prr"},
        {"options": {"yes": "unknwn"}},
        {"data": "tokens", "options": {"question": "word: citty"}},
    ],
    "describe_features": [
        {"features": [10**6]},
        {"text": "no file"},
        {"sae": "no folder"},
        {"url": "no address"},
        {"key_from": "NO_SUCH_VARIABLE"},
    ],
    "prompt_features": [{"features": [10**6]}, {"text": "no file"}, {"sae": "no folder"}],
    "steering": [{"feature": 10**6}, {"track": ["<999999>"]}, {"directions": "no file"}],
    "train_jacobian_lens": [{"text": "no file"}, {"layers": [9]}, {"target_layer": -3}, {"skip_first": 999}],
    "train_sae": [{"site": "resid_prr"}, {"text": "no file"}],
    "train_transcoders": [{"text": "no file"}, {"k": 10**6}],
    "train_tuned_lens": [{"text": "no file"}],
}


def test_every_experiment_is_asked():
    ours = {name for name, one in all_experiments().items() if one.run.__module__.startswith("interp.")}
    assert set(WRONG) == ours  # other tests register experiments of their own


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param(name, values, id=f"{name} {values}")
        for name, all_of in WRONG.items()
        for values in all_of
    ],
)
def test_a_wrong_name_costs_no_forward_pass(load, name, values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model: interp.Model = load("demo-gpt2")
    found = find_experiment(name)
    parts = (model.hf_model, model.hf_model.transformer.h[0])  # a sweep runs layers by themselves
    hooks = [part.register_forward_pre_hook(_refuse) for part in parts]
    try:
        with pytest.raises(InterpError):
            found.run(found.make_config(values), model)
    finally:
        for hook in hooks:
            hook.remove()


def test_the_default_answer_is_that_of_the_default_prompt():
    """With another prompt alone it is the model's own, or asked for; it is never kept."""
    lens, trace = find_experiment("logit_lens"), find_experiment("causal_tracing")
    assert lens.make_config({}).answer == " Paris"
    assert lens.make_config({"prompt": "Rome is in"}).answer is None
    assert lens.make_config({"prompt": lens.make_config({}).prompt}).answer == " Paris"
    assert lens.make_config({"prompt": "Rome is in", "answer": " Italy"}).answer == " Italy"
    with pytest.raises(ConfigError, match=r"'clean' of its own, but no 'answer' \(the default ' Paris'"):
        trace.make_config({"clean": "Rome is in"})
    own = {"clean": "Rome is in", "corrupted": "Oslo is in", "answer": " Italy"}
    assert trace.make_config(own).foil is None
    with pytest.raises(ConfigError, match="no 'competitor'"):
        find_experiment("contrast").make_config({"second": "Oslo is in"})
    task = find_experiment("activation_patching").make_config({"task": "facts"})
    assert (task.clean, task.answer) == (None, None)


def test_an_answer_in_a_file_is_given_up_where_only_its_prompt_is_replaced():
    values = {"prompt": "Rome is in", "answer": " Italy", "k": 3}
    assert overridden(values, {"prompt": "Oslo is in"}) == {"prompt": "Oslo is in", "k": 3}
    assert overridden(values, {"prompt": "Oslo is in", "answer": " N"})["answer"] == " N"
    assert overridden(values, {"prompt": "Rome is in", "k": 4}) == values | {"k": 4}
    pair = {"clean": "a", "corrupted": "b", "answer": "c", "foil": "d"}
    assert overridden(pair, {"corrupted": "e"}) == {"clean": "a", "corrupted": "e", "answer": "c"}


def _refuse(*_: object) -> None:
    raise AssertionError("a prompt was run before the names were checked")
