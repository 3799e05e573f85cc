"""What loading costs: `interp.load_model` beside transformers' own `from_pretrained`, on the same folder.

    python bench/loading.py [--write]

A folder of GPT-2-small size with random weights. Each way loads it in a process of its own, so that none
finds what another left in memory, and then runs one forward pass of 15 tokens: `from_pretrained` maps the
file and reads no weights before they are used, so that only the two together are what a user waits for.
Median of five rounds in turn, after one that warms the file's cache; memory is the process's largest
resident memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from tempfile import TemporaryDirectory

from tables import put
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from interp.models.names import KNOWN

ROUNDS = 5

LOAD = {
    "transformers, from_pretrained": "model = AutoModelForCausalLM.from_pretrained(folder).eval()",
    "interp.load_model": "model = interp.load_model(folder, device='cpu').hf_model",
    "interp.load_model, self_check=False": (
        "model = interp.load_model(folder, device='cpu', self_check=False).hf_model"
    ),
}
PROGRAM = """
import json, resource, sys, time
import torch, interp
import interp.models.self_check, interp.models.transformers_backend
from transformers import AutoModelForCausalLM, GPT2LMHeadModel
folder = sys.argv[1]
start = time.perf_counter()
{load}
loaded = time.perf_counter() - start
with torch.no_grad():
    model(torch.arange(15)[None], use_cache=False)
ready = time.perf_counter() - start
print(json.dumps([loaded, ready, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]))
"""


def once(load: str, folder: str) -> list[float]:
    """Seconds to load, seconds until the first logits are there, and GB, in a fresh process."""
    program = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(load=load), folder]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="What loading costs.")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
        AutoTokenizer.from_pretrained(KNOWN["demo-gpt2"].source).save_pretrained(folder)  # any will do
        rounds = [{name: once(load, folder) for name, load in LOAD.items()} for _ in range(ROUNDS + 1)][1:]
    lines = ["| | load (s) | load and first forward (s) | times | memory (GB) |", "|---|---|---|---|---|"]
    plain = 0.0
    for name in LOAD:
        loaded, ready, memory = (statistics.median(one[name][i] for one in rounds) for i in range(3))
        plain = plain or ready
        lines.append(f"| {name} | {loaded:.3f} | {ready:.3f} | {ready / plain:.2f} | {memory:.2f} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if options.write:
        put("loading", table)


if __name__ == "__main__":
    main()
