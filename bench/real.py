"""What a real model costs, Gemma 3 270M: loading, a long lens, the shell, and sweeps beside other libraries.

    python bench/real.py [--write]

Each contender runs in a process of its own, on the same converted copy (`interp.models.gguf`), so that none
finds what another left in memory; the file is in the page cache. Seconds are the median of three rounds in
turn, memory is the process's largest resident memory in GB.

- loading: `interp.load_model`, with and without its self-check, beside `from_pretrained`, each with one
  forward pass of 15 tokens, since weights are mapped and not read before they are used;
- a lens of 700 tokens at all layers and positions;
- ``interp run logit_lens`` from the shell to the figure;
- a trace, resid_pre [18 layers x 15 positions], and a head sweep, z [18 layers x 4 heads]: this library,
  nnsight, and TransformerLens (with 4.x where ``make test-tl4`` has made its environment).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tables import put

from interp.models.gguf.copies import copy_of
from interp.models.gguf.packages import GEMMA

ROUNDS = 3
TL4 = Path(__file__).parents[1] / ".venv-tl4" / "bin" / "python"

COMMON = """
import json, resource, sys, time
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder = sys.argv[1]
CLEAN = "When John and Mary went to the store, John gave a drink to"
OTHER = "When John and Mary went to the store, Mary gave a drink to"
def done(seconds):
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]))
"""
LOADING = {
    "transformers, from_pretrained": "model = AutoModelForCausalLM.from_pretrained(folder).eval()",
    "interp.load_model": "model = interp.load_model(folder, device='cpu').hf_model",
    "interp.load_model, self_check=False": (
        "model = interp.load_model(folder, device='cpu', self_check=False).hf_model"
    ),
}
LOAD_AND_FORWARD = """
import interp, interp.models.self_check, interp.models.transformers_backend
start = time.perf_counter()
{load}
with torch.no_grad():
    model(torch.arange(15)[None], use_cache=False)
done(time.perf_counter() - start)
"""
LENS = """
import interp
model = interp.load_model(folder, device="cpu", self_check=False)
ids = [model.bos_id, *range(1000, 1699)]
start = time.perf_counter()
interp.logit_lens(model, ids, 5000, position="all")
done(time.perf_counter() - start)
"""
#: Each gives a function `sweep(cells)` of (layer, column), and `site`.
OWN = """
import interp
model = interp.load_model(folder, device="cpu", self_check=False)
by = "head" if site == "z" else "position"
def sweep(cells):
    interp.activation_patching(
        model, clean=CLEAN, corrupted=OTHER, answer=" Mary", foil=" John", site=site, by=by
    )
"""
NNSIGHT = """
from nnsight import LanguageModel
hf = AutoModelForCausalLM.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
model = LanguageModel(hf, tokenizer=tokenizer)
width = hf.config.head_dim
def place(layer):
    block = model.model.layers[layer]
    return block.self_attn.o_proj if site == "z" else block
def part(column):
    columns = slice(column * width, (column + 1) * width)
    return (slice(None), columns) if site == "z" else (column, slice(None))
def sweep(cells):
    saved = {}
    with torch.no_grad(), model.trace(CLEAN):
        for layer in sorted({layer for layer, _ in cells}):
            saved[layer] = place(layer).input.save()
    for layer, column in cells:
        where = part(column)
        with torch.no_grad(), model.trace(OTHER):
            place(layer).input[0][where] = saved[layer][0][where]
            model.lm_head.output[0, -1].save()
"""
TRANSFORMER_LENS = """
from transformer_lens.model_bridge import TransformerBridge
hf = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
model = TransformerBridge.boot_transformers("google/gemma-3-270m", hf_model=hf, tokenizer=tokenizer)
clean, other = (torch.tensor([tokenizer.encode(text)]) for text in (CLEAN, OTHER))
name = "hook_resid_pre" if site == "resid_pre" else "attn.hook_z"
def sweep(cells):
    with torch.no_grad():
        _, cache = model.run_with_cache(clean)
        for layer, column in cells:
            hook = f"blocks.{layer}.{name}"
            def patch(value, hook, layer=layer, column=column):
                where = (0, slice(None), column) if site == "z" else (0, column)
                value[where] = cache[hook.name][where]
                return value
            model.run_with_hooks(other, fwd_hooks=[(hook, patch)])
"""
TIMED = """
cells = [(layer, column) for layer in range(18) for column in range(4 if site == "z" else 15)]
start = time.perf_counter()
sweep(cells)
done(time.perf_counter() - start)
"""
SWEEPS = {"resid_pre": "trace, resid_pre [18 x 15]", "z": "heads, z [18 x 4]"}


def once(program: str, folder: Path, *, python: str = sys.executable) -> list[float]:
    """Seconds and GB of a program, in a fresh process."""
    command = [python, "-W", "ignore", "-c", COMMON + program, str(folder)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def from_the_shell() -> list[float]:
    """``interp run logit_lens``, from the shell to the figure."""
    with TemporaryDirectory() as out:
        command = [sys.executable, "-m", "interp", "run", "logit_lens", "--model", GEMMA.name, "--out", out]
        start = time.perf_counter()
        _, status, used = os.wait4(subprocess.Popen(command, stdout=subprocess.DEVNULL).pid, 0)
        seconds = time.perf_counter() - start
    if status:
        raise SystemExit("interp run logit_lens failed")
    return [seconds, used.ru_maxrss / 1e6]


def programs() -> dict[str, tuple[str, str]]:
    """(the program, the Python that it needs) of each row of the table."""
    found = {name: (LOAD_AND_FORWARD.format(load=load), sys.executable) for name, load in LOADING.items()}
    found["logit lens, 700 tokens, all layers and positions"] = (LENS, sys.executable)
    libraries = {"interp": (OWN, sys.executable), "nnsight": (NNSIGHT, sys.executable)}
    if TL4.is_file():
        libraries["TransformerLens 4"] = (TRANSFORMER_LENS, str(TL4))
    for site, sweep in SWEEPS.items():
        for library, (program, python) in libraries.items():
            found[f"{sweep}, {library}"] = (f"site = {site!r}\n{program}{TIMED}", python)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What a real model costs.")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    copy = copy_of(GEMMA.sha256)
    if copy is None:
        raise SystemExit("There is no converted copy of Gemma 3 270M yet; run: make real")
    asked = programs()
    rounds = [
        {name: once(program, copy.folder, python=python) for name, (program, python) in asked.items()}
        | {"interp run logit_lens, from the shell to the figure": from_the_shell()}
        for _ in range(ROUNDS)
    ]
    lines = ["| | seconds | memory (GB) |", "|---|---|---|"]
    for name in rounds[0]:
        seconds, memory = (statistics.median(one[name][i] for one in rounds) for i in range(2))
        lines.append(f"| {name} | {seconds:.2f} | {memory:.2f} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if options.write:
        put("real", table)


if __name__ == "__main__":
    main()
