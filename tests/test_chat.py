"""Messages through a tokenizer's own template: BOS once, places by role and turn, taken by every method."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import torch

import interp
from conftest import byte_tokenizer, run, tiny_model
from interp.chat import chat_text, content_spans
from interp.errors import ConfigError, InputError
from interp.experiments.base import all_experiments, find_experiment
from interp.results import read_result

#: ChatML; one that writes BOS itself and trims, as Llama 3's and Gemma's do; one without roles.
CHATML = (
    "{% for m in messages %}{{ '[' + m.role + ']' + m.content }}"
    "{% if not loop.last or m.role == 'user' %}|{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
WITH_BOS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<{{ m.role }}>{{ m.content | trim }}</>{% endfor %}{% if add_generation_prompt %}<model>{% endif %}"
)
SHOUTING = "{% for m in messages %}{{ m.content | upper }}{% endfor %}"
MESSAGES = [
    {"role": "user", "content": "user is a"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": " and yes? "},
]


def chatting(template: str | None, **options) -> interp.Model:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    return interp.load_model(tiny_model("tiny-llama"), tokenizer, device="cpu", self_check=False, **options)


@pytest.mark.parametrize("template", [CHATML, WITH_BOS])
def test_bos_stands_once_in_front(template):
    model = chatting(template)
    ids = model.to_tokens(MESSAGES[:1]).row(0)
    assert ids[0] == model.bos_id
    assert ids.count(model.bos_id) == 1
    text = model.tokenizer.apply_chat_template(MESSAGES[:1], tokenize=False, add_generation_prompt=True)
    assert ids == model.to_tokens(text).row(0)  # as a text that was written out
    expected = "[user]user is a|[assistant]" if template == CHATML else "<user>user is a</><model>"
    assert model.to_text(ids[1:]) == expected


def test_without_bos_the_template_is_taken_as_it_is():
    assert chatting(CHATML, bos=False).to_tokens(MESSAGES[:1]).row(0)[0] != 256


def test_a_batch_may_mix_conversations_and_text():
    model = chatting(CHATML)
    batch = model.to_tokens([MESSAGES[:1], MESSAGES[:1], "hello"])
    assert batch.row(0) == batch.row(1) == model.to_tokens(MESSAGES[:1]).row(0)
    assert batch.row(2) == model.to_tokens("hello").row(0)


def test_an_answer_that_was_begun_is_gone_on_from():
    model = chatting(CHATML)
    begun = [*MESSAGES[:1], {"role": "assistant", "content": "I th"}]
    assert model.to_text(model.to_tokens(begun).row(0)).endswith("[assistant]I th")


@pytest.mark.parametrize("template", [CHATML, WITH_BOS])
def test_places_by_turn_and_role(template):
    model = chatting(template)
    ids = model.to_tokens(MESSAGES).row(0)

    def said(**where) -> str:
        return "".join(model.labels([ids[p] for p in model.positions_of(MESSAGES, **where)]))

    last = " and yes? " if template == CHATML else "and yes?"
    assert said(turn=0) == "user is a"
    assert said(turn=-1).strip() == last.strip()
    assert said(role="assistant") == "yes"
    assert said(role="user").replace(" ", "") == f"userisa{last}".replace(" ", "")
    assert said(turn=2, role="user").strip() == last.strip()
    assert said(substring="user is") in ("user is", "useris")
    assert ids[-1] == model.to_tokens(chat_text(model.tokenizer, MESSAGES)).row(0)[-1]
    text = chat_text(model.tokenizer, MESSAGES)
    assert [text[a:b] for a, b in content_spans(model.tokenizer, MESSAGES)] == ["user is a", "yes", last]


def test_what_cannot_be_is_one_sentence():
    model, plain = chatting(CHATML), chatting(None)
    with pytest.raises(InputError, match="has no chat template"):
        plain.to_tokens(MESSAGES)
    with pytest.raises(InputError, match=r"does not take these messages \(System role not supported\)"):
        chatting(WITH_BOS).to_tokens([{"role": "system", "content": "Be kind"}])
    with pytest.raises(InputError, match="Each message is"):
        model.to_tokens([{"role": "user"}])
    with pytest.raises(InputError, match="Each message is"):
        model.to_tokens([{"role": "user", "content": 3}])
    with pytest.raises(InputError, match="no turn 3"):
        model.positions_of(MESSAGES, turn=3)
    with pytest.raises(InputError, match="their roles are user, assistant"):
        model.positions_of(MESSAGES, role="system")
    with pytest.raises(InputError, match="Nothing is said there"):
        model.positions_of(MESSAGES, turn=0, role="assistant")
    with pytest.raises(InputError, match="has no turns"):
        model.positions_of("hello", role="user")
    with pytest.raises(InputError, match="in one way"):
        model.positions_of(MESSAGES, "is", turn=0)
    with pytest.raises(InputError, match="changes what the messages say"):
        chatting(SHOUTING).positions_of(MESSAGES, turn=0)


def test_methods_take_messages_as_any_prompt():
    model = chatting(CHATML)
    text = chat_text(model.tokenizer, MESSAGES[:1])
    asked = [MESSAGES[:1], text]
    lens = [interp.logit_lens(model, prompt, "y") for prompt in asked]
    assert lens[0].equals(lens[1])
    said = [model.generate(prompt, 3).said for prompt in asked]
    assert said[0] == said[1]
    patterns = [interp.attention_patterns(model, prompt) for prompt in asked]
    assert patterns[0].equals(patterns[1])


#: What each experiment with prompts of its own is asked of the byte model, beside these; but those on an SAE.
ASKED: dict[str, dict[str, Any]] = {
    "activation_patching": {"clean": 0, "corrupted": 1, "answer": "y", "foil": "n"},
    "attention_patterns": {"prompt": 0},
    "causal_tracing": {"clean": 0, "corrupted": 1, "answer": "y"},
    "contrast": {"first": 0, "second": 1, "target": "y", "competitor": "n"},
    "direct_logit_attribution": {"prompt": 0, "answer": "y", "foil": "n"},
    "generate": {"prompt": 0, "n_tokens": 2},
    "head_ablation": {
        "prompt": 0, "answer": "y", "foil": "n", "heads": ["0.1"],
        "n_random": 1, "n_reference": 2, "n_texts": 1, "text_length": 8, "copy_length": 4,
    },
    "lenses_on_prompt": {"prompt": 0, "answer": "y", "lenses": ["logit"]},
    "logit_lens": {"prompt": 0, "answer": "y"},
    "patched_lens": {"source": 0, "target": 1, "answer": "y"},
    "steering": {"prompts": 0, "strengths": [1.0], "n_tokens": 1},
}  # fmt: skip
ON_A_DICTIONARY = {"attention_score_parts", "attribution_graph", "feature_effects", "prompt_features"}
ON_A_DICTIONARY |= {"scale_nodes"}


def test_every_experiment_with_a_prompt_is_asked():
    takes = {
        name
        for name, one in all_experiments().items()
        if one.run.__module__.startswith("interp.")
        and any("list[dict[str, str]]" in str(field.annotation) for field in one.config.model_fields.values())
    }
    assert takes == ASKED.keys() | ON_A_DICTIONARY | {"head_scores"}


@pytest.mark.parametrize("name", ASKED)
def test_every_experiment_takes_messages_as_the_text_that_they_are(name, tmp_path):
    model = chatting(CHATML)
    conversations = [[{"role": "user", "content": f"user is {who}"}] for who in "ab"]
    texts = [chat_text(model.tokenizer, one) for one in conversations]
    found = find_experiment(name)
    ends = [model.forward(text)[0, -1].softmax(-1) for text in texts]
    apart = {"answer": int((ends[0] - ends[1]).argmax()), "foil": int((ends[0] - ends[1]).argmin())}
    tokens = apart | {"target": apart["answer"], "competitor": apart["foil"]}
    results = []
    for prompts in (conversations, texts):
        values = {
            key: f"<{tokens[key]}>" if key in tokens else prompts[value] if key in PROMPT_KEYS else value
            for key, value in ASKED[name].items()
        }
        if name == "steering":
            values["directions"] = str(tmp_path / f"{len(results)}.safetensors")
            interp.write_directions(values["directions"], [some_direction(model)])
        results.append(found.run(found.make_config(values), model).to_dict())
    assert results[0] == results[1]


PROMPT_KEYS = ("prompt", "prompts", "clean", "corrupted", "first", "second", "source", "target")


def some_direction(model: interp.Model) -> interp.Direction:
    return interp.Direction(
        vector=torch.nn.functional.one_hot(torch.tensor(3), model.arch.d_model).float(),
        address=interp.Address("resid_post", 0),
        role="END",
        how="random",
        labels=("no", "yes"),
        ends=(0.0, 1.0),
        scale=1.0,
        prompts=(1, 1),
        data="none",
        model=model.identity.name,
        revision=None,
        unembed_sha256=None,
    )


def test_messages_are_given_on_the_command_line(tmp_path, capsys, tiny_folder):
    folder = tmp_path / "chat"
    shutil.copytree(tiny_folder("tiny-llama"), folder)
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    asked = ["--set", "answer=y", "--set", "prompt=[{role: user, content: user is a}]"]
    assert run("run", "logit_lens", "--model", folder, "--out", tmp_path / "out", *asked) == 0
    (made,) = (tmp_path / "out").rglob("result.json")
    assert "user is a|[assistant]" in "".join(read_result(json.loads(made.read_text())["result"]).tokens)
    capsys.readouterr()
    plain = tiny_folder("tiny-llama")
    assert run("run", "logit_lens", "--model", plain, "--out", tmp_path / "plain", *asked) == 2
    assert "has no chat template" in " ".join(capsys.readouterr().err.split())


def test_a_configuration_may_hold_messages():
    model = chatting(CHATML)
    for name in ("logit_lens", "generate", "attention_patterns"):
        found = find_experiment(name)
        values = {"prompt": MESSAGES[:1]} | ({"n_tokens": 2} if name == "generate" else {})
        result = found.run(found.make_config(values), model)
        assert "user is a" in str(result.to_dict()).replace("', '", "")
    wrong = find_experiment("logit_lens").make_config({"prompt": [{"role": "user", "say": "x"}]})
    with pytest.raises(InputError, match="Each message is"):
        find_experiment("logit_lens").run(wrong, model)
    with pytest.raises(ConfigError):
        find_experiment("logit_lens").make_config({"prompt": [{"role": "user", "content": 7}]})
