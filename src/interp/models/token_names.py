"""A tokenizer from the names of tokens, for models that came without one: characters, words, numbers.

Three kinds, by the names alone:

- Each name is one character: a text is its characters (nanoGPT's character level).
- No name holds white space, and some are longer: words, with one space between them, as in "12 + 7 =".
- Else the text is cut from left to right, into the longest name that goes on from there.

Names in angle or square brackets, such as "<pad>", do not count in telling these apart. A text that holds
what no name covers is refused: no model was trained on a character that it has no token for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import BatchEncoding, PreTrainedTokenizerFast

from interp.errors import InputError, ModelLoadError

#: What names are given as: in the order of their ids, from name to id, from id to name, or the path of these.
TokenNames = Sequence[str] | Mapping[str, int] | Mapping[int, str] | Mapping[str, str] | str | Path
#: The files that are looked for beside the weights.
FILES = ("token_names.json", "token_names.txt")
LARGEST = 50_000_000  # bytes of such a file
_BRACKETED = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")


class NamedTokens(PreTrainedTokenizerFast):
    """A tokenizer whose tokens are names that were given."""

    def __call__(self, text: Any = None, *args: Any, **kwargs: Any) -> BatchEncoding:
        for one in [text] if isinstance(text, str) else text or ():
            self._check(one)
        return super().__call__(text, *args, **kwargs)

    def _check(self, text: str) -> None:
        """`InputError` where the text holds what no name covers."""
        pieces = self.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
        for piece, _ in pieces:
            if piece not in self.vocab:
                known = ", ".join(repr(name) for name in list(self.vocab)[:8])
                raise InputError(f"{piece!r} is none of the model's tokens, which are {known} and so on.")


def tokenizer_of(names: TokenNames) -> NamedTokens:
    """The tokenizer of named tokens. `ModelLoadError` where the names are in no form that is read."""
    vocab = _vocab(_read(Path(names)) if isinstance(names, str | Path) else names)
    plain = [name for name in vocab if not _BRACKETED.fullmatch(name)]
    in_words = not any(re.search(r"\s", name) for name in vocab) and any(len(name) > 1 for name in plain)
    tokenizer = Tokenizer(WordLevel(vocab=vocab))  # without a token for the unknown
    if in_words:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    else:
        longest_first = "|".join(re.escape(name) for name in sorted(vocab, key=len, reverse=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(longest_first), "isolated")
        tokenizer.decoder = decoders.Fuse()
    return NamedTokens(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)


def _vocab(names: Any) -> dict[str, int]:
    """From name to id."""
    if isinstance(names, Mapping):
        items = list(names.items())
        if all(_is_id(value) for _, value in items):
            pairs = items
        else:
            pairs = [(name, _as_id(key)) for key, name in items]
    elif isinstance(names, Sequence):
        pairs = [(name, i) for i, name in enumerate(names)]
    else:
        raise ModelLoadError(
            f"Names of tokens are a list, or a mapping of names and ids, not {type(names).__name__}."
        )
    for name, i in pairs:
        if not isinstance(name, str) or not name or not _is_id(i):
            raise ModelLoadError(
                f"Each token has a text for a name and a number for an id; got {name!r} and {i!r}."
            )
    for kind, values in (("name", [name for name, _ in pairs]), ("id", [i for _, i in pairs])):
        if len(set(values)) < len(values):
            twice = next(value for n, value in enumerate(values) if value in values[:n])
            raise ModelLoadError(f"The {kind} {twice!r} is there twice; every token needs one of its own.")
    if not pairs:
        raise ModelLoadError("There are no names of tokens; give one for each id, in their order.")
    return dict(sorted(pairs, key=lambda pair: pair[1]))


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _as_id(key: Any) -> Any:
    """JSON writes the keys of a mapping as texts."""
    return int(key) if isinstance(key, str) and key.isdecimal() else key


def _read(path: Path) -> Any:
    """The names in a file: JSON, or one name a line. A pickle, such as nanoGPT's meta.pkl, is not read: it
    could run anything."""
    if path.suffix in (".pkl", ".pickle"):
        raise ModelLoadError(
            f"{str(path)!r} is a pickle, which can run anything, so it is not read; if you trust it, write "
            "its names as JSON yourself: json.dump(pickle.load(open('meta.pkl', 'rb'))['stoi'], "
            "open('token_names.json', 'w'))."
        )
    try:
        if path.is_file() and path.stat().st_size > LARGEST:
            raise ModelLoadError(f"{str(path)!r} is too large for names of tokens; check the path.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelLoadError(f"There is no file {str(path)!r} of names of tokens; check it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelLoadError(f"The names of tokens in {str(path)!r} cannot be read ({error}).") from None
    if path.suffix != ".json":
        return text.removesuffix("\n").split("\n")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(f"{str(path)!r} is no valid JSON ({error}).") from None
