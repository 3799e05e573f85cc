"""Pairs from a file of one's own: CSV with a header, or JSON lines (UTF-8).

    prompt,corrupted,answer,foil,positions
    The capital of France is,The capital of Japan is, Paris, Tokyo,"{""subject"": "" France""}"

    {"prompt": "The capital of France is", "corrupted": "The capital of Japan is", "answer": " Paris",
     "foil": " Tokyo", "positions": {"subject": " France", "END": -1}}            (on one line)

Answers are text, leading space included, of one token or several, or several forms with bars between them
(`interp.answers`). `positions` and `template` may be left out; positions map
a role to a position (negative from the end), a list of positions, or a part of the clean prompt that occurs
once. In JSON lines, prompts may be lists of token ids, and answers ids or lists of forms, {"any": [...]}.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from interp.chat import is_messages
from interp.errors import InputError, nearest
from interp.models.base import Model
from interp.tasks.base import Dropped, Pair, PairDataset, check_count, encode_pair, made_for

REQUIRED: tuple[str, ...] = ("prompt", "corrupted", "answer", "foil")
COLUMNS: tuple[str, ...] = (*REQUIRED, "positions", "template")


def user_pairs(
    model: Model, *, path: str | Path, n: int | None = None, drop: bool = False, seed: int = 0
) -> PairDataset:
    """The pairs of a ``.csv`` or ``.jsonl`` file.

    Args:
        n: a seeded sample of this many pairs, in the order of the file; all of them without.
        drop: leave out the pairs that cannot be used (prompts that do not align, an answer that is its foil)
            and say so in `PairDataset.dropped`; by default the first one is an error. Lines that cannot be
            read are an error in any case.

    Raises `InputError`, naming the line, for all that cannot be used; and where there are fewer than `n`
    pairs.
    """
    path = Path(path)
    pairs: list[Pair] = []
    dropped: list[Dropped] = []
    for line, row in _rows(path):
        try:
            pairs.append(_pair(model, row))
        except InputError as error:
            if not drop:
                raise InputError(f"{_place(path, line)}: {error}") from None
            dropped.append(Dropped(f"line {line}", str(error)))
    if not pairs and not dropped:
        raise InputError(f"{path.name!r} holds no pair; write one a line.")
    if n is not None:
        check_count(n)
        if n > len(pairs):
            raise InputError(f"{path.name!r} holds {len(pairs)} pairs that can be used, not n={n}.")
        chosen = sorted(random.Random(f"user pairs {seed}").sample(range(len(pairs)), n))
        pairs = [pairs[i] for i in chosen]
    made = made_for(model, file=path.name, n=n, drop=drop, seed=seed)
    return PairDataset(name="user_pairs", pairs=tuple(pairs), dropped=tuple(dropped), made=made)


# ---- reading ----


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with the number of the line that it begins in, its columns checked."""
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise InputError(f"Pairs are read from a .csv or a .jsonl file, not from {path.name!r}.")
    try:
        text = path.read_text(encoding="utf-8-sig")  # with or without a byte order mark
    except FileNotFoundError:
        raise InputError(f"There is no file {str(path)!r}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path.name!r} is not UTF-8; save it as UTF-8.") from None
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}).") from None
    read = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    for line, row in read(path, text):
        missing = [column for column in REQUIRED if row.get(column) in (None, "")]
        if missing:
            null = (
                " (null is no text)"
                if any(column in row and row[column] is None for column in missing)
                else ""
            )
            raise InputError(f"{_place(path, line)}: {' and '.join(map(repr, missing))} missing{null}.")
        yield line, row


def _check_columns(columns: Iterable[str], place: str) -> None:
    for column in columns:
        if column not in COLUMNS:
            raise InputError(f"{place}: unknown column {column!r}; {nearest(column, COLUMNS)}")


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise InputError(f"{_place(path, line)}: a column is named twice.")
        _check_columns(header, _place(path, line))
        line = reader.line_num + 1
        for values in reader:
            if values and len(values) != len(header):
                raise InputError(
                    f"{_place(path, line)}: {len(values)} values for {len(header)} columns; put text with a "
                    "comma in double quotes."
                )
            if values:
                yield line, dict(zip(header, values, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{_place(path, line)}: no valid CSV ({error}).") from None


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, one in enumerate(text.split("\n"), 1):
        if not one.strip():
            continue
        row = _json(one, f"{_place(path, line)}")
        if not isinstance(row, dict):
            raise InputError(f"{_place(path, line)}: must be a JSON object, {{...}}.")
        _check_columns(row, _place(path, line))
        yield line, row


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except ValueError as error:
        raise InputError(f"{what}: no valid JSON ({error}).") from None
    except RecursionError:
        raise InputError(f"{what}: nested too deeply.") from None


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, refused where it has a key twice; the last would win in silence."""
    keys = [key for key, _ in items]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a key is given twice in {keys}")
    return dict(items)


def _place(path: Path, line: int) -> str:
    return f"{path.name}, line {line}"


# ---- from a row to a pair ----


def _pair(model: Model, row: dict[str, Any]) -> Pair:
    prompt, template = row["prompt"], row.get("template") or ""
    if not isinstance(template, str):
        raise InputError(f"the template must be text, not {template!r}.")
    ids = model.to_tokens(prompt).repeat(1).row(0)
    given = row.get("positions") or {}
    if isinstance(given, str):  # a cell of a CSV file
        given = _json(given, "the positions")
    if not isinstance(given, dict):
        raise InputError(f'the positions must map roles to places, as in {{"END": -1}}; got {given!r}.')
    return encode_pair(
        model,
        clean=prompt,
        corrupted=row["corrupted"],
        answer=row["answer"],
        foil=row["foil"],
        positions={role: _positions(model, prompt, len(ids), role, where) for role, where in given.items()},
        template=template,
    )


def _positions(model: Model, prompt: Any, length: int, role: str, where: Any) -> list[int]:
    """The places of one role as positions from the front."""
    if isinstance(where, str):
        if not isinstance(prompt, str) and not is_messages(prompt):
            raise InputError(f"the role {role!r} is given as text, but the prompt as ids; give positions.")
        return model.positions_of(prompt, where)
    found = where if isinstance(where, list) else [where]
    if not found or not all(isinstance(one, int) and not isinstance(one, bool) for one in found):
        raise InputError(
            f"the role {role!r} must stand at a position, a list of positions or a part of the prompt; got "
            f"{where!r}."
        )
    if not all(-length <= one < length for one in found):
        raise InputError(f"the role {role!r} stands at {where}, but the prompt has {length} tokens.")
    return [one % length for one in found]
