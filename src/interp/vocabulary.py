"""What a tokenizer's pieces say: text to ids and back, and nothing lost on the way.

Tokenizers differ in what they do at the beginning of a text. SentencePiece's (Llama 2, Mistral) put a space
in front of it and take one away when they decode, so the ids of "A" by itself are those of " A", and the text
of the piece "▁Paris" by itself is "Paris". Here a prompt begins a text and an answer goes on from one; the
label of a token is what it adds to a text, and names that token alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from transformers import PreTrainedTokenizerBase

from interp.errors import InputError

_META = "▁"  # how SentencePiece writes a space within a piece
_BYTE = re.compile("<0x([0-9A-F]{2})>")  # a piece that stands for one byte of a character without a piece
_ID = re.compile(r"<(\d{1,9})>")

#: Of each tokenizer, how many tokens it had and which were special, and then the texts of all special ones.
_kept_special: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[tuple[object, ...], dict[int, str]]] = (
    WeakKeyDictionary()
)

#: What an answer may follow, to find the ids that it has within a text: the first that keeps its own.
_BEFORE = ("(", "a", ".", "1", "\n", "é")


# ---- from ids to text ----


def labels(tokenizer: PreTrainedTokenizerBase | None, ids: Sequence[int]) -> list[str]:
    """What each token adds to a text; the id in angle brackets where that is no text, or another token's."""
    if tokenizer is None:
        return [f"<{i}>" for i in ids]
    pieces = tokenizer.convert_ids_to_tokens(list(ids))
    texts = [_piece_text(tokenizer, i, piece) for i, piece in zip(ids, pieces, strict=True)]
    return [text if text and "�" not in text else f"<{i}>" for text, i in zip(texts, ids, strict=True)]


def _piece_text(tokenizer: PreTrainedTokenizerBase, i: int, piece: str | None) -> str:
    """What a token adds to a text; empty where that is read as another token, which has it too."""
    text = _decode(tokenizer, [i])
    if piece is None:
        return text
    if _BYTE.fullmatch(piece) and _has_piece(tokenizer, text.replace(" ", _META) or _META):
        return ""
    if piece.startswith(_META) and not text.startswith(_META):
        return " " * (len(piece) - len(piece.lstrip(_META))) + text.lstrip(" ")
    return text


def _has_piece(tokenizer: PreTrainedTokenizerBase, piece: str) -> bool:
    found = tokenizer.convert_tokens_to_ids(piece)
    return found is not None and tokenizer.convert_ids_to_tokens(found) == piece


def text_of(tokenizer: PreTrainedTokenizerBase | None, ids: Sequence[int], *, goes_on: bool = False) -> str:
    """The running text of ids, decoded as a whole, so that characters of several tokens are there.

    It begins a text; with `goes_on` it follows one, and keeps the space that it begins with.
    """
    if tokenizer is None or not ids:
        return "".join(labels(tokenizer, ids))
    ids = list(ids)
    if not _has_decoder(tokenizer):  # decoding would put a space between any two tokens
        joined = "".join(labels(tokenizer, ids))
        if _encode_or_none(tokenizer, joined) == ids:
            return joined
    parts = _split(ids, _special(tokenizer))
    texts = [_decode(tokenizer, part) for part in parts]
    if goes_on:
        first = labels(tokenizer, ids[:1])[0]
        texts[0] = " " * (_leading(first) - _leading(_decode(tokenizer, ids[:1]))) + texts[0]
    return "".join(texts)


def _split(ids: list[int], apart: Container[int]) -> list[list[int]]:
    """Runs of ids, those of `apart` each by itself."""
    runs: list[list[int]] = []
    for i in ids:
        if i in apart or not runs or runs[-1][-1] in apart:
            runs.append([i])
        else:
            runs[-1].append(i)
    return runs


def _special(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The text of each special token. Kept for as long as the tokenizer has as many tokens: to make a list of
    thousands, as Gemma has, takes longer than to read a prompt."""
    size = len(tokenizer), tuple(tokenizer.all_special_ids)
    if _kept_special.get(tokenizer, ((), {}))[0] != size:
        added = getattr(tokenizer, "added_tokens_decoder", {})
        known = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
        texts = known | {i: token.content for i, token in added.items() if token.special}
        _kept_special[tokenizer] = size, texts
    return _kept_special[tokenizer][1]


def _decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _leading(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _has_decoder(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer says how pieces become text; where not, they are joined with spaces."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    return backend is None or backend.decoder is not None


# ---- from text to ids ----


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """A text from its beginning as ids, without any special token added. `InputError` for what is no valid
    text, and for what the ids do not say."""
    ids = encode_document(tokenizer, text)
    if loss := lost(tokenizer, text, ids):
        raise InputError(
            f"{loss} Write it otherwise, or load the model with the tokenizer that it learned by."
        )
    return ids


def encode_continuation(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text that goes on from another, as an answer does from its prompt. Errors as of `encode`.

    The text is taken literally, with its leading space or without one.
    """
    ids = encode_document(tokenizer, text)
    if text_of(tokenizer, ids, goes_on=True) == text:
        return ids
    for before in _BEFORE:
        start, both = (_encode_or_none(tokenizer, one) for one in (before, before + text))
        if start is None or both is None:
            continue
        rest = both[len(start) :]
        if both[: len(start)] == start and text_of(tokenizer, rest, goes_on=True) == text:
            return rest
    return encode(tokenizer, text)


def encode_document(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """As `encode`, also where the ids do not say all of the text: see `lost`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(
            "The text holds half a character (a lone surrogate); it was decoded wrongly somewhere, so "
            "read it again as UTF-8."
        ) from None
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _encode_or_none(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int] | None:
    """The ids of a text; None where the tokenizer refuses it, as some do what they have no token for."""
    try:
        return encode_document(tokenizer, text)
    except InputError:
        return None


def lost(tokenizer: PreTrainedTokenizerBase, text: str, ids: list[int]) -> str | None:
    """A sentence that shows where the ids of a text do not decode to it; None where they do.

    Characters that are the same, otherwise composed, are no loss, nor are spaces beside special tokens, nor
    any where the tokenizer does not say how its pieces are joined.
    """
    read = text_of(tokenizer, ids)
    if read == text:
        return None
    plain = _without_free_spaces(tokenizer, text)
    for reading in (read, _decode(tokenizer, ids), text_of(tokenizer, ids, goes_on=True)):
        if _without_free_spaces(tokenizer, reading) == plain:
            return None
    same = next((i for i, (a, b) in enumerate(zip(text, read, strict=False)) if a != b), None)
    start = max(0, (min(len(text), len(read)) if same is None else same) - 10)
    here = slice(start, start + 40)
    unknown = [repr(c) for c in dict.fromkeys(text) if c not in read and not c.isspace()]
    named = f" ({', '.join(unknown[:5])}{', ...' if unknown[5:] else ''})" if unknown else ""
    return f"This model's tokenizer loses text{named}: it reads {text[here]!r} as {read[here]!r}."


def named_id(tokenizer: PreTrainedTokenizerBase | None, text: str) -> int | None:
    """The id that is asked for in angle brackets, as in ``<148>``; None for any other text, and where that
    is itself a piece of the vocabulary."""
    found = _ID.fullmatch(text)
    if found is None or (tokenizer is not None and _has_piece(tokenizer, text)):
        return None
    return int(found[1])


def _without_free_spaces(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if not _has_decoder(tokenizer):
        return "".join(text.split())
    special = [re.escape(token) for token in _special(tokenizer).values() if token in text]
    return re.sub(rf"\s*({'|'.join(special)})\s*", r"\1", text) if special else text
