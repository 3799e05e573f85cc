"""Training a sparse autoencoder: `interp.saes.training` beside SAELens's trainer, on the same activations.

    make bench-saes

Activations of demo-gpt2 at blocks.4.hook_resid_post, divided by their root mean square, are kept in a file.
Each contender trains on the same batches in a process of its own with one thread, in turn with the others.
Speed is in tokens a second of that process's CPU time, which on an idle machine is the time that passes;
median over rounds. Memory is how far the process's resident memory rose in training. Quality is that of
the last round, on activations that were not trained on.

Sizes, steps, warm-up and decay are the same. The learning rate of TopK and standard is the best of three for
each, that of the others one for both. The weights of penalties are the same in units of the activations. All
else is each library's default.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch._dynamo  # or the first step of an optimizer imports it, in time and memory
from tables import put
from torch import Tensor

FEATURES, BATCH, WARM_UP, DECAY = 1536, 1024, 0.05, 0.2
HELD_OUT = 12_000  # tokens
PENALTY = 0.05  # of L1, against the error as a share of the variance
COUNTED = 1e-3  # of the number of features (JumpReLU), likewise
KINDS = {
    "topk": "TopK, k = 32",
    "batchtopk": "BatchTopK, k = 32",
    "matryoshka": "Matryoshka, k = 32, 4 levels",
    "jumprelu": f"JumpReLU, L0 weight {COUNTED:g}",
    "gated": f"gated, L1 weight {PENALTY:g}",
    "standard": f"standard, L1 weight {PENALTY:g}",
}
RATE = 3e-3
#: Of 1e-3, 3e-3 and 6e-3 the one with which each explains most in 200 steps; RATE where it was not sought.
LEARNING_RATES = {
    ("topk", "interp"): 6e-3,
    ("topk", "SAELens"): 6e-3,
    ("standard", "interp"): 6e-3,
    ("standard", "SAELens"): 3e-3,
}
Encode = Callable[[Tensor], Tensor]


def ours(x: Tensor, kind: str, steps: int) -> Callable[[], tuple[Encode, Tensor, Tensor]]:
    from interp.saes.recipe import Recipe
    from interp.saes.training import train

    recipe = Recipe(
        kind=kind,
        n_features=FEATURES,
        k=32,
        penalty=COUNTED if kind == "jumprelu" else PENALTY,
        steps=steps,
        learning_rate=LEARNING_RATES.get((kind, "interp"), RATE),
        warm_up=WARM_UP,
        decay=DECAY,
    )

    def run() -> tuple[Encode, Tensor, Tensor]:
        weights, _ = train(lambda step: batch(x, step), recipe)
        return (
            lambda x: weights.activation((x - weights.b_dec) @ weights.W_enc + weights.b_enc),
            weights.W_dec,
            weights.b_dec,
        )

    return run


def sae_lens(x: Tensor, kind: str, steps: int) -> Callable[[], tuple[Encode, Tensor, Tensor]]:
    from sae_lens import SAE
    from sae_lens.config import SAETrainerConfig
    from sae_lens.registry import get_sae_training_class
    from sae_lens.training.sae_trainer import SAETrainer

    spread = (x - x.mean(0)).square().sum(-1).mean().sqrt().item()
    options: dict[str, Any] = {"k": 32}
    if kind == "matryoshka":
        options["matryoshka_widths"] = [FEATURES // 8, FEATURES // 4, FEATURES // 2, FEATURES]
    if kind in ("standard", "gated"):
        options = {"l1_coefficient": PENALTY * spread, "l1_warm_up_steps": int(WARM_UP * steps)}
    if kind == "jumprelu":
        options = {"l0_coefficient": COUNTED * spread**2, "l0_warm_up_steps": int(WARM_UP * steps)}
    sae_class, config_class = get_sae_training_class("matryoshka_batchtopk" if kind == "matryoshka" else kind)
    sae = sae_class(config_class(d_in=x.shape[1], d_sae=FEATURES, **options))
    config = SAETrainerConfig(
        total_training_samples=steps * BATCH,
        train_batch_size_samples=BATCH,
        lr=LEARNING_RATES.get((kind, "SAELens"), RATE),
        lr_end=0.0,
        lr_warm_up_steps=int(WARM_UP * steps),
        lr_decay_steps=int(DECAY * steps),
    )

    def run() -> tuple[Encode, Tensor, Tensor]:
        SAETrainer(config, sae, (batch(x, step) for step in range(steps + 1))).fit()
        if kind == "topk":
            sae.fold_W_dec_norm()  # its features count in units of decoder length
        if kind not in ("batchtopk", "matryoshka"):
            return sae.encode, sae.W_dec, sae.b_dec
        with TemporaryDirectory() as folder:
            sae.save_inference_model(folder)
            used = SAE.load_from_disk(folder)  # a JumpReLU, as it is kept for use
        return used.encode, used.W_dec, used.b_dec

    return run


CONTENDERS = {"interp": ours, "SAELens": sae_lens}


def batch(x: Tensor, step: int) -> Tensor:
    start = step * BATCH % (len(x) - BATCH)
    return x[start : start + BATCH]


def once(file: str, kind: str, name: str, steps: int) -> list[float]:
    """Tokens a second of CPU time, GB, and the quality: explained variance, L0, dead share."""
    from interp.saes import metrics, results

    torch.set_num_threads(1)
    activations = torch.from_numpy(np.load(file))
    x, held_out = activations[:-HELD_OUT], activations[-HELD_OUT:]
    run = CONTENDERS[name](x, kind, steps)
    forget_peak()
    before, start = resident("VmRSS"), time.process_time()
    encode, W_dec, b_dec = run()
    seconds, rose = time.process_time() - start, resident("VmHWM") - before
    with torch.no_grad():
        features = encode(held_out)
        y = features @ W_dec + b_dec
    dead = results.dead_share(metrics.density(features).numpy())
    return [
        steps * BATCH / seconds,
        rose,
        metrics.explained_variance(held_out, y),
        metrics.l0(features),
        dead,
    ]


def forget_peak() -> None:
    """Let the largest resident memory count from now on (Linux)."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # or memory that was freed before is used again, unseen
    Path("/proc/self/clear_refs").write_text("5")


def resident(what: str) -> float:
    """VmRSS, the resident memory, or VmHWM, the largest that it was, in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1e6


def dump(file: Path, sequences: int) -> None:
    import interp
    from interp.saes.stream import ActivationStream
    from interp.text.sequences import load_text

    model = interp.load_model("demo-gpt2", device="cpu")
    text, _ = load_text(model, "demo", training=sequences, held_out=1)
    address = interp.Address("resid_post", 4)
    x = ActivationStream(model, address, text, batch_size=len(text) * 127, buffered=len(text))(0)
    np.save(file, (x / x.square().mean().sqrt()).numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description="Training sparse autoencoders, beside SAELens.")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--sequences", type=int, default=1500, help="of 127 tokens, to train on")
    parser.add_argument("--once", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        print(json.dumps(once(*options.once, options.steps)))
        return
    found: dict[tuple[str, str], list[list[float]]] = {}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "activations.npy"
        dump(file, options.sequences)
        for _ in range(options.rounds):
            for kind in KINDS:
                for name in CONTENDERS:
                    program = [sys.executable, "-W", "ignore", __file__, "--steps", str(options.steps)]
                    done = subprocess.run(
                        [*program, "--once", str(file), kind, name],
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                        env=os.environ | {"OMP_NUM_THREADS": "1"},
                        check=True,
                    )
                    found.setdefault((kind, name), []).append(json.loads(done.stdout.splitlines()[-1]))
                    print(kind, name, *found[kind, name][-1], flush=True)
    table = as_table(found, options.steps, options.sequences)
    print(table)
    if options.write:
        put("saes", table)


def as_table(found: dict[tuple[str, str], list[list[float]]], steps: int, sequences: int) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "sae-lens"))
    lines = [
        f"{platform.machine()}, 1 thread; Python {platform.python_version()}, {versions}. {FEATURES} "
        f"features of width 192, {steps} steps of {BATCH} tokens, of {sequences * 127 - HELD_OUT}; "
        f"rounds: {len(found['topk', 'interp'])}.",
        "",
        "| | tokens/s | times SAELens | memory (GB) | explained variance | L0 | dead |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, words in KINDS.items():
        plain = statistics.median(one[0] for one in found[kind, "SAELens"])
        for name in CONTENDERS:
            speed, rose = (statistics.median(one[i] for one in found[kind, name]) for i in range(2))
            explained, l0, dead = found[kind, name][-1][2:]
            lines.append(
                f"| {words}: {name} | {speed:,.0f} | {speed / plain:.2f} | {rose:.2f} | {explained:.3f} | "
                f"{l0:.1f} | {100 * dead:.1f} % |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
