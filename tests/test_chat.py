"""Messages through a tokenizer's own template: BOS once, places by role and turn, taken by every method."""

from __future__ import annotations

import pytest

import interp
from conftest import byte_tokenizer, tiny_model
from interp.chat import chat_text, content_spans
from interp.errors import ConfigError, InputError
from interp.experiments.base import find_experiment

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
