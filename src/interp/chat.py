"""Messages of a conversation as one text, by the tokenizer's own template.

A conversation is a list of ``{"role": ..., "content": ...}``. It ends where the answer begins: with what the
template writes in front of an answer, so that the last position of the prompt is the last token before the
answer. Where the last message is the assistant's own, it goes on from that instead.

When it misleads: a template adds text of its own (roles, markers, some a system prompt), at whose positions a
model computes as well; and a model that was not trained on a template has never seen what it writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from transformers import PreTrainedTokenizerBase

from interp.errors import InputError, first_line

Messages = Sequence[Mapping[str, str]]

#: What a model's own turns are called.
ASSISTANT = ("assistant", "model")

_TURN = re.compile(r"(?:system|developer|user|assistant|model|tool):")


def is_messages(prompt: Any) -> TypeGuard[Messages]:
    """Whether this is one conversation, and not a text, ids or several prompts."""
    listed = isinstance(prompt, Sequence) and not isinstance(prompt, str) and len(prompt) > 0
    return listed and all(isinstance(one, Mapping) for one in prompt)


def read_turns(text: str) -> list[dict[str, str]]:
    """Messages as a person types them: each begins a line with its role. `InputError` where none does.

    >>> read_turns("user: Hello.\\nHow are you?\\nassistant: Fine.")  # doctest: +NORMALIZE_WHITESPACE
    [{'role': 'user', 'content': 'Hello.\\nHow are you?'}, {'role': 'assistant', 'content': 'Fine.'}]
    """
    turns: list[dict[str, str]] = []
    for line in text.splitlines():
        if begins := _TURN.match(line):
            turns.append({"role": begins[0][:-1], "content": line[begins.end() :].removeprefix(" ")})
        elif turns:
            turns[-1]["content"] += f"\n{line}"
        else:
            raise InputError(
                "A conversation begins with a role at the start of its line, as in 'user: Hello.'"
            )
    if not turns:
        raise InputError("The conversation is empty; type a turn, as in 'user: Hello.'")
    return turns


def chat_text(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> str:
    """The messages as the template writes them, up to where the answer begins. `InputError` where there is no
    template, or it does not take them."""
    _check(messages)
    if getattr(tokenizer, "chat_template", None) is None:
        raise InputError(
            "This model's tokenizer has no chat template, so it takes no messages; write the prompt as one "
            "text, or load a model that was tuned for conversations."
        )
    goes_on = messages[-1]["role"] in ASSISTANT
    try:
        text = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
        )
    except ImportError as error:
        raise InputError(
            f"Chat templates need a package that is not installed: {first_line(error)}."
        ) from None
    except Exception as error:  # a template is a program of the tokenizer's maker
        raise InputError(
            f"This model's chat template does not take these messages ({first_line(error)}); change their "
            "roles or their order."
        ) from None
    return str(text)


def content_spans(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[tuple[int, int]]:
    """The characters [start, stop) of each message's content in `chat_text`. `InputError` where the template
    rewrites it, so that it is not found."""
    text = chat_text(tokenizer, messages)
    marks = [f"\ue000{i}\ue001" for i in range(len(messages))]  # characters of private use, in no template
    marked = [{**message, "content": mark} for message, mark in zip(messages, marks, strict=True)]
    written = chat_text(tokenizer, marked)
    for contents in (
        [message["content"] for message in messages],
        [message["content"].strip() for message in messages],
    ):
        spans, made, rest = [], "", written
        for mark, content in zip(marks, contents, strict=True):
            before, _, rest = rest.partition(mark)
            made += before
            spans.append((len(made), len(made) + len(content)))
            made += content
        if made + rest == text:
            return spans
    raise InputError(
        "The chat template changes what the messages say, so their places cannot be told; give positions as "
        "numbers."
    )


def chosen_spans(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, *, turn: int | None, role: str | None
) -> list[tuple[int, int]]:
    """The characters of what is said in a turn, or by a role, or both. `InputError` where that is nothing."""
    n = len(messages)
    if turn is not None and not -n <= turn < n:
        raise InputError(f"There is no turn {turn}; the conversation has {n} messages, from 0.")
    roles = list(dict.fromkeys(message["role"] for message in messages))
    if role is not None and role not in roles:
        raise InputError(f"Nobody speaks as {role!r} in these messages; their roles are {', '.join(roles)}.")
    spans = content_spans(tokenizer, messages)
    chosen = [
        span
        for i, span in enumerate(spans)
        if (turn is None or i == turn % n) and (role is None or messages[i]["role"] == role)
    ]
    if not chosen or any(start == stop for start, stop in chosen):
        raise InputError("Nothing is said there; choose another turn or role.")
    return chosen


def _check(messages: Messages) -> None:
    for message in messages:
        if set(message) != {"role", "content"} or not all(isinstance(one, str) for one in message.values()):
            raise InputError(
                "Each message is {'role': ..., 'content': ...}, both texts; one of these has "
                f"{', '.join(map(repr, message)) or 'nothing'}."
            )
