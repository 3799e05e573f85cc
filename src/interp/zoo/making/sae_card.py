"""Measures the sparse autoencoder that comes with a demo model, and writes its card (``README.md``).

    interp run train_sae --config configs/train_sae/demo-gpt2.yaml --set save_to=src/interp/zoo/demo-gpt2/sae
    python -m interp.zoo.making.sae_card demo-gpt2

What is measured are the stored weights, on text from a seed that the training did not draw from. The figures
are kept in ``quality.json``; none of the card stands in this file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from interp import zoo
from interp.saes.results import SAEQualityResult

SEED = 1  # of the text; training has 0
SEQUENCES, LENGTH = 128, 128
FIGURES = (
    "n_tokens",
    "l0",
    "explained_variance",
    "explained_variance_per_token",
    "recovered_from_zero",
    "recovered_from_mean",
    "ce_clean",
    "ce_sae",
    "ce_zero",
    "ce_mean",
    "dead",
)


def measure(name: str, sequences: int = SEQUENCES) -> SAEQualityResult:
    """The stored dictionary of a demo model on held-out text."""
    import interp
    from interp.text.sequences import load_text

    model = interp.load_model(name, device="cpu")
    _, text = load_text(model, "demo", training=1, held_out=sequences, length=LENGTH, seed=SEED)
    return interp.measure_sae(model, interp.load_sae(name, model), text, seed=SEED)


def write_card(folder: Path) -> Path:
    """Write ``README.md`` from the ``cfg.json`` and ``quality.json`` beside it, and return its path."""
    config = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    quality = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    target = folder / "README.md"
    target.write_text(_card(config, quality), encoding="utf-8")
    return target


def _card(config: dict[str, Any], quality: dict[str, Any]) -> str:
    about = config["metadata"]
    name, made = about["model_name"], about["training"]
    hook = f"`{about['hook_name']}`"
    return f"""---
license: mit
library_name: saelens
---

# A sparse autoencoder for {name}

{config["d_sae"]} features of the residual stream at {hook} of {name}, the demo model beside it, in SAELens's layout and {config["dtype"]}. At this layer the answer of a fact and the indirect object are mostly at the last position already (`interp run activation_patching` shows it), and one more layer reads them.

    sae = interp.load_sae("{name}", interp.load_model("{name}"))

## How good it is

Measured on the stored weights by `interp.measure_sae`, on {quality["n_tokens"]} tokens of text that training did not draw, without {made["excluded"]}. `interp/saes/metrics.py` defines each metric; a test measures again.

| metric | figure |
|---|---|
| L0: features active at a token | {quality["l0"]:.1f} of {quality["n_features"]} |
| explained variance, summed over tokens (1 - FVU) | {quality["explained_variance"]:.4f} |
| explained variance, mean over tokens | {quality["explained_variance_per_token"]:.4f} |
| CE recovered, against zeros | {quality["recovered_from_zero"]:.4f} |
| CE recovered, against the mean | {quality["recovered_from_mean"]:.4f} |
| cross-entropy of the model itself, nats | {quality["ce_clean"]:.3f} |
| - through the dictionary | {quality["ce_sae"]:.3f} |
| - with zeros in its place | {quality["ce_zero"]:.3f} |
| - with the mean in its place | {quality["ce_mean"]:.3f} |
| dead: never active on this text | {100 * quality["dead"]:.1f} % |

## How it was made

    interp run train_sae --config configs/train_sae/{name}.yaml

{_kind(made)}, {made["steps"]} steps of {made["batch_size"]} tokens, Adam at {made["learning_rate"]:g} with warm-up over {100 * made["warm_up"]:g} % of the steps and decay over the last {100 * made["decay"]:g} %, an auxiliary loss of weight {made["auxiliary"]:g} on features that were silent for {made["silent_after"]} steps, seed {made["seed"]}. The text is drawn anew from the generator of what the model itself learned from: {made["training"]} sequences of {made["length"]} tokens.

## What it is not

It is not the set of features of {name}: another seed, size or k gives another dictionary, and nothing says that the model uses a direction because it helps to reconstruct. The text is generated from patterns, so that held-out text has new combinations of words, not new words; of other text the figures say little. CE recovered is a weak test here, as one layer alone comes after this site.

MIT, like the model.
"""


def _kind(made: dict[str, Any]) -> str:
    return {"topk": f"TopK with k = {made['k']}", "batchtopk": f"BatchTopK with k = {made['k']}"}.get(
        made["kind"], f"{made['kind']} with a penalty of {made['penalty']:g}"
    )


if __name__ == "__main__":
    for one in sys.argv[1:] or zoo.NAMES:
        place = zoo.path(one) / "sae"
        found = measure(one)
        figures = {
            "n_features": found.sae.n_features,
            **{figure: getattr(found, figure) for figure in FIGURES},
        }
        (place / "quality.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        write_card(place)
