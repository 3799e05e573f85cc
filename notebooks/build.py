"""From the sources of the notebooks to executed notebooks: ``make notebooks``.

    python notebooks/build.py                 executes all, and writes the .ipynb beside their sources
    python notebooks/build.py 00 research     those whose names begin so
    python notebooks/build.py --test          executes them on demo-gpt2 and writes nothing
    python notebooks/build.py --model gemma-3-270m --to FOLDER

A source is a program in jupytext's percent format. What it gives depends on the source alone: cells have
names by their place, and no times are kept. One that fails is told with its error, and the others go on.
Two are executed side by side where there are two cores (``--jobs``), each in a kernel of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
COLOURS = r"\x1b\[[0-9;]*m"  # of a traceback
TIMEOUT = 900  # seconds a cell, on a machine with much else to do
TESTED_ON = "demo-gpt2"
MOST_JOBS = 2  # a kernel holds a model, and up to 4 GB


def sources() -> list[Path]:
    """The sources, in their order."""
    return sorted(HERE.glob("[0-9r]*.py"))


def read(source: Path, model: str | None = None) -> NotebookNode:
    """The notebook of a source, not executed; with `model`, for that one."""
    text = source.read_text(encoding="utf-8")
    if model is not None:
        text, n = re.subn(r'^MODEL = "[^"]+"( if .+ else "[^"]+")?', f'MODEL = "{model}"', text, flags=re.M)
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
        notebook,
        timeout=TIMEOUT,
        record_timing=False,
        resources={"metadata": {"path": str(HERE)}},
        extra_arguments=["--log-level=ERROR"],  # of the kernel
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


def build(source: Path, model: str | None, write: Callable[[Path, NotebookNode], object]) -> bool:
    """Execute the notebook of a source, say how long it took, and write it; False where a cell failed."""
    notebook = read(source, model)
    began = time.monotonic()
    try:
        execute(notebook)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{source.stem}: failed\n{re.sub(COLOURS, '', str(error))}", flush=True)
        return False
    print(f"{source.stem}: {time.monotonic() - began:.0f} s", flush=True)
    write(source, notebook)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="beginnings of names; all without")
    parser.add_argument("--test", action="store_true", help=f"on {TESTED_ON}, and write nothing")
    parser.add_argument("--model", help="instead of the one in the source")
    parser.add_argument("--to", type=Path, default=HERE, help="the folder to write to")
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=min(cores, MOST_JOBS), help="side by side")
    asked = parser.parse_args()
    if asked.jobs < 1:
        parser.error("--jobs is at least 1")
    if asked.model and asked.to == HERE and not asked.test:
        raise SystemExit(
            "Give a folder (--to) for notebooks of another model; those here are of the demo models."
        )
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")  # a bar is nothing to be kept
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // asked.jobs)))
    found = [path for path in sources() if not asked.names or path.name.startswith(tuple(asked.names))]
    model = asked.model or (TESTED_ON if asked.test else None)

    def write(source: Path, notebook: NotebookNode) -> None:
        if not asked.test:
            asked.to.mkdir(parents=True, exist_ok=True)
            jupytext.write(notebook, asked.to / f"{source.stem}.ipynb", fmt="ipynb")

    with ThreadPoolExecutor(asked.jobs) as pool:
        done = list(pool.map(lambda source: build(source, model, write), found))
    failed = [source.stem for source, right in zip(found, done, strict=True) if not right]
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
