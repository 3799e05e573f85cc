"""From the sources of the notebooks to executed notebooks: ``make notebooks``.

    python notebooks/build.py                 executes all, and writes the .ipynb beside their sources
    python notebooks/build.py 00 research     those whose names begin so
    python notebooks/build.py --test          executes them and writes nothing
    python notebooks/build.py --model gemma-3-270m --to FOLDER

A source is a program in jupytext's percent format. What it gives depends on the source alone: cells have
names by their place, and no times are kept. One that fails is told with its error, and the others go on.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
COLOURS = r"\x1b\[[0-9;]*m"  # of a traceback
TIMEOUT = 900  # seconds a cell, on a machine with much else to do


def sources() -> list[Path]:
    """The sources, in their order."""
    return sorted(HERE.glob("[0-9r]*.py"))


def read(source: Path, model: str | None = None) -> NotebookNode:
    """The notebook of a source, not executed; with `model`, for that one."""
    text = source.read_text(encoding="utf-8")
    if model is not None:
        text, n = re.subn(r'^MODEL = "[^"]+"', f'MODEL = "{model}"', text, flags=re.M)
        if n != 1:
            raise SystemExit(f"{source.name} has no line of its own that begins MODEL = ...")
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
        cell.metadata = NotebookNode()
    return notebook


def execute(notebook: NotebookNode) -> None:
    """Run every cell, in the folder of the notebooks."""
    client = NotebookClient(
        notebook, timeout=TIMEOUT, record_timing=False, resources={"metadata": {"path": str(HERE)}}
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            make_smaller(output.get("data", {}))
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    for cell in notebook.cells:
        cell.metadata = NotebookNode()


def make_smaller(data: NotebookNode) -> None:
    """A figure in 256 colours: a third of the size; a colour bar shows steps."""
    if "image/png" not in data:
        return
    with Image.open(BytesIO(b64decode(data["image/png"]))) as figure:
        reduced = figure.convert("RGB").quantize(
            256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
    reduced.save(to := BytesIO(), format="png", optimize=True)
    data["image/png"] = b64encode(to.getvalue()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="beginnings of names; all without")
    parser.add_argument("--test", action="store_true", help="write nothing")
    parser.add_argument("--model", help="instead of the one in the source")
    parser.add_argument("--to", type=Path, default=HERE, help="the folder to write to")
    asked = parser.parse_args()
    if asked.model and asked.to == HERE and not asked.test:
        raise SystemExit(
            "Give a folder (--to) for notebooks of another model; those here are of the demo models."
        )
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")  # a bar is nothing to be kept
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    failed: list[str] = []
    for source in sources():
        if asked.names and not source.name.startswith(tuple(asked.names)):
            continue
        notebook = read(source, asked.model)
        began = time.monotonic()
        try:
            execute(notebook)
        except CellExecutionError as error:
            failed.append(source.stem)
            print(f"{source.stem}: failed\n{re.sub(COLOURS, '', str(error))}", flush=True)
            continue
        print(f"{source.stem}: {time.monotonic() - began:.0f} s", flush=True)
        if not asked.test:
            asked.to.mkdir(parents=True, exist_ok=True)
            jupytext.write(notebook, asked.to / f"{source.stem}.ipynb", fmt="ipynb")
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
