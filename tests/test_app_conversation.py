"""A conversation in the app: typed as turns, linked, read by the model's own chat template."""

from __future__ import annotations

import pytest

from app_pages import field, run_without_errors, texts
from conftest import byte_tokenizer, tiny_model
from interp.app.server.access import permissions
from interp.app.server.settings import FILES
from interp.app.views.conversation import HasChatTemplate, WrittenByTemplate
from interp.chat import read_turns
from interp.errors import InputError
from test_chat import CHATML, chatting

TYPED = "user: Say a\nlamp.\nassistant:lamp\nuser: Again:"
TURNS = [
    {"role": "user", "content": "Say a\nlamp."},
    {"role": "assistant", "content": "lamp"},
    {"role": "user", "content": "Again:"},
]
WRITTEN = "[user]Say a\nlamp.|[assistant]lamp|[user]Again:|[assistant]"


def test_turns_begin_with_their_role_at_a_line():
    assert read_turns(TYPED) == TURNS
    for text, says in (("Hello user: no", "begins with a role"), ("", "is empty"), ("users: no", "a role")):
        with pytest.raises(InputError, match=says):
            read_turns(text)


def test_the_prompt_has_the_tokens_of_the_messages():
    model = chatting(CHATML)
    assert HasChatTemplate()(model)
    assert WrittenByTemplate(TYPED)(model) == WRITTEN
    assert model.to_tokens(WRITTEN).row(0) == model.to_tokens(TURNS).row(0)


def test_without_a_template_nothing_is_offered(open_page):
    assert not HasChatTemplate()(chatting(None))
    page = open_page("Explore", prompt="The capital of France is")
    run_without_errors(page)
    assert "prompt_turns" not in [toggle.key for toggle in page.toggle]


@pytest.fixture
def chat_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(FILES, str(tmp_path))
    tiny_model("tiny-llama").save_pretrained(tmp_path)
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(tmp_path)
    permissions().allow(str(tmp_path))  # as where it is typed
    return str(tmp_path)


def test_a_conversation_is_typed_and_linked(open_page, chat_folder):
    page = open_page("Explore", model=chat_folder, prompt=TYPED, prompt_turns="true", target="a")
    run_without_errors(page)
    assert f"prompt={WRITTEN!r}" in page.code[0].value  # the copied program asks what is shown
    field(page, "prompt").set_value("Hello")
    run_without_errors(page)
    assert "begins with a role at the start of its line" in texts(page)
    assert "prompt='Hello'" in page.code[0].value
    page.toggle(key="prompt_turns").set_value(False)
    run_without_errors(page)
    assert "begins with a role" not in texts(page)
