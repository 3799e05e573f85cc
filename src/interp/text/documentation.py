"""A text that is at hand wherever Python is: the documentation of the standard library and of the packages
that are installed, to train a dictionary or a lens of a real model on.

A document is what one file says: the docstrings of a module in the order of its source, which is parsed and
never run, or a file in Markdown or reStructuredText; and each topic of Python's own help. A docstring that
was said before, as in code that is copied from module to module, is left out, and so are short documents.
They come in an order that looks random and is the same wherever the same packages are installed, so that the
beginning and the end of the text are of one kind, and what is held out from the end is like the rest.

When it misleads: it is prose about code, much of it by the few largest packages, and no sample of what a
model learned from.
"""

from __future__ import annotations

import ast
import json
import sysconfig
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from interp.errors import InputError, first_line
from interp.progress import report

SUFFIX = ".jsonl"
_SHORTEST = 400  # characters of a document
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def gather_documentation(file: str | Path, *, megabytes: float = 20.0) -> int:
    """Write so many megabytes (of 1e6 bytes) of documentation into a new ``.jsonl`` file, an object a line
    with its ``text`` and what it is ``from``; the number of documents.

    Raises `InputError` where the file is there already, has another ending or cannot be written, and where
    what is installed has less documentation than that; then nothing is written.
    """
    file, wanted = Path(file), int(megabytes * 1e6)
    if file.suffix != SUFFIX or wanted < 1:
        raise InputError(
            f"Give a file that ends in {SUFFIX}, and a size above 0; not {str(file)!r}, {megabytes:g} MB."
        )
    if file.exists():
        raise InputError(f"{str(file)!r} is there already; choose another file.")
    unfinished = file.with_suffix(".unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as lines:
            count = size = 0
            for source, text in documentation():
                line = json.dumps({"text": text, "from": source}, ensure_ascii=False) + "\n"
                lines.write(line)
                count, size = count + 1, size + len(line.encode())
                report("kB of documentation", min(size, wanted) // 1000, wanted // 1000)
                if size >= wanted:
                    break
        if size < wanted:
            raise InputError(
                f"The installed packages have {size / 1e6:.1f} MB of documentation, not {megabytes:g}; ask "
                "for less, or install more of them."
            )
        unfinished.replace(file)
    except OSError as error:
        raise InputError(f"{str(file)!r} cannot be written ({first_line(error)}).") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def documentation() -> Iterator[tuple[str, str]]:
    """Each document: what it is from, as a name that holds on any machine, and its text."""
    from pydoc_data.topics import topics

    topic_names: dict[str, Path | str] = {f"help/{name}": text for name, text in topics.items()}
    sources = _files() | topic_names
    said: set[bytes] = set()
    for name in sorted(sources, key=lambda name: sha256(name.encode()).digest()):
        source = sources[name]
        parts = _paragraphs(source) if isinstance(source, Path) else [source]
        text = "\n\n".join(part for part in parts if not _said(part, said))
        if len(text) >= _SHORTEST:
            yield name, text


def _files() -> dict[str, Path | str]:
    """The files that may say something, by name: of the standard library, and of what is installed."""
    paths = sysconfig.get_paths()
    library = Path(paths["stdlib"])
    found: dict[str, Path | str] = {}
    for root in (library, *{Path(paths["purelib"]), Path(paths["platlib"])}):
        for file in root.rglob("*"):
            inside = file.relative_to(root)
            if file.suffix not in (".py", ".md", ".rst") or (
                root == library and "site-packages" in inside.parts
            ):
                continue
            found[("python/" if root == library else "packages/") + inside.as_posix()] = file
    return found


def _paragraphs(file: Path) -> list[str]:
    """What a file says, in pieces: docstrings of a module, or all of another file. Nothing of a file that
    cannot be read."""
    try:
        if file.suffix != ".py":
            return [file.read_text(encoding="utf-8").strip()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the modules' authors, not the reader's
            tree = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    documented = [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)]
    documented.sort(key=lambda node: getattr(node, "lineno", 0))
    texts = (ast.get_docstring(node) for node in documented)
    return [text.strip().encode(errors="replace").decode() for text in texts if text]


def _said(part: str, said: set[bytes]) -> bool:
    """Whether it was said before; from now on it was."""
    digest = sha256(part.encode()).digest()
    if digest in said:
        return True
    said.add(digest)
    return False
