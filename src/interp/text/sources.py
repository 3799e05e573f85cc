"""Where text comes from: files of three kinds, and datasets on the Hugging Face hub.

- ``stories.jsonl``: one JSON object a line, the text in one field of it.
- ``stories.parquet``: a table, the text in one column. Needs pyarrow.
- ``hf:org/name`` or ``hf:org/name:configuration``: a dataset of the hub, its split "train", in streaming
  mode: only what is used is fetched. Needs the datasets library.
- any other file: plain text in UTF-8, one document.

pyarrow and datasets come with the extra `text`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from interp.errors import InputError, first_line, how_to_install, nearest

HUB = "hf:"


def documents(source: str, field: str = "text") -> Iterator[str]:
    """The documents of `source` in their order, read as they are asked for.

    `field` is where a record keeps its text. Raises `InputError` where a source cannot be read, a library is
    not installed, or a record has no such field.
    """
    if source.startswith(HUB):
        return _fields(_of_hub(source), source, field)
    readers = {".jsonl": _of_jsonl, ".parquet": _of_parquet}
    reader = readers.get(Path(source).suffix.lower())
    return _plain(source) if reader is None else _fields(reader(source), source, field)


def _fields(records: Iterable[Any], source: str, field: str) -> Iterator[str]:
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict) or not isinstance(record.get(field), str):
            if isinstance(record, dict) and field in record:
                kind = "null" if record[field] is None else f"a {type(record[field]).__name__}"
                raise InputError(
                    f"Record {number} of {source!r} has {kind} in its field {field!r}, where text is "
                    "expected; leave such records out."
                )
            what = record.keys() if isinstance(record, dict) else ()
            hint = nearest(field, map(str, what)) if what else "a record is an object with named fields."
            raise InputError(f"Record {number} of {source!r} has no text in a field {field!r}; {hint}")
        yield record[field]


def _plain(source: str) -> Iterator[str]:
    try:
        yield Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The text file {source!r} cannot be read ({first_line(error)}).") from None


def _of_jsonl(source: str) -> Iterator[Any]:
    try:
        with Path(source).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _json(line, source, number)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The text file {source!r} cannot be read ({first_line(error)}).") from None


def _json(line: str, source: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputError(f"Line {number} of {source!r} is no JSON ({first_line(error)}).") from None


def _of_parquet(source: str) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise InputError(f"Reading Parquet needs pyarrow; run: {how_to_install('text')}.") from None
    try:
        with ParquetFile(source) as file:
            for batch in file.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"The Parquet file {source!r} cannot be read ({first_line(error)}).") from None


def _of_hub(source: str) -> Iterator[dict[str, Any]]:
    try:
        from datasets import load_dataset
    except ModuleNotFoundError:
        raise InputError(
            f"Datasets of the hub need the datasets library; run: {how_to_install('text')}."
        ) from None
    name, _, configuration = source.removeprefix(HUB).partition(":")
    try:
        yield from load_dataset(name, configuration or None, split="train", streaming=True)
    except Exception as error:  # of many kinds: no network, no such dataset, no such split
        raise InputError(
            f"The dataset {name!r} could not be fetched ({first_line(error)}); check its name and your "
            "connection, or give a local file."
        ) from error
