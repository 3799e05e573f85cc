"""Measures the transcoders that come with a demo model, and writes their card (``README.md``).

    interp run train_transcoders --config configs/train_transcoders/demo-gpt2.yaml \
        --set save_to=src/interp/zoo/demo-gpt2/transcoders
    python -m interp.zoo.making.transcoder_card demo-gpt2

What is measured are the stored weights, on text from a seed that the training did not draw from. The figures
are kept in ``quality.json``; none of the card stands in this file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from interp import zoo
from interp.saes.results import TranscoderQualityResult

SEED = 1  # of the text; training has 0
SEQUENCES, LENGTH = 32, 128


def measure(name: str, sequences: int = SEQUENCES) -> TranscoderQualityResult:
    """The stored transcoders of a demo model on held-out text."""
    import interp
    from interp.saes.transcoder_metrics import measure_transcoders
    from interp.text.sequences import load_text

    model = interp.load_model(name, device="cpu")
    _, text = load_text(model, "demo", training=1, held_out=sequences, length=LENGTH, seed=SEED)
    return measure_transcoders(model, interp.load_transcoders(name, model), text, seed=SEED)


def figures(found: TranscoderQualityResult) -> dict[str, Any]:
    """What is kept of a measurement."""
    scalars = ("n_tokens", "ce_clean", "ce_all", "ce_all_mean", "recovered")
    by_layer = ("l0", "explained_variance", "ce_layer", "ce_layer_mean", "dead")
    return {
        "n_features": found.transcoders[0].n_features,
        **{name: getattr(found, name) for name in scalars},
        **{name: getattr(found, name).tolist() for name in by_layer},
    }


def write_card(folder: Path) -> Path:
    """Write ``README.md`` from the ``cfg.json`` and ``quality.json`` beside it, and return its path."""
    config = json.loads((folder / "layer_0" / "cfg.json").read_text(encoding="utf-8"))
    quality = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    target = folder / "README.md"
    target.write_text(_card(config, quality), encoding="utf-8")
    return target


def _card(config: dict[str, Any], quality: dict[str, Any]) -> str:
    about = config["metadata"]
    name, made = about["model_name"], about["training"]
    columns = zip(
        *(quality[key] for key in ("l0", "explained_variance", "dead", "ce_layer", "ce_layer_mean")),
        strict=True,
    )
    rows = "\n".join(
        f"| {layer} | {l0:.1f} | {explained:.3f} | {100 * dead:.1f} % | {one:.3f} | {mean:.3f} |"
        for layer, (l0, explained, dead, one, mean) in enumerate(columns)
    )
    skip = "with a linear map beside them" if "skip" in config["architecture"] else "no skip connection"
    return f"""---
license: mit
library_name: saelens
---

# Transcoders for {name}

{config["d_sae"]} features ({skip}) for the MLP of each of the {len(quality["l0"])} layers of {name}, the demo model beside it: from the residual stream behind the MLP's norm (`{about["hook_name"]}` of layer 0, without gain and bias) to what the MLP writes (`{about["hook_name_out"]}`). In SAELens's layout ({config["architecture"]}) and {config["dtype"]}, a folder a layer.

    model = interp.load_model("{name}")
    transcoders = interp.load_transcoders("{name}", model)
    interp.attribution_graph(model, transcoders, "The capital of France is")

## How good they are

Measured on the stored weights by `measure_transcoders`, on {quality["n_tokens"]} tokens of text that training did not draw, without {made["excluded"]}. `interp/saes/transcoder_metrics.py` defines each figure; a test measures again.

| cross-entropy of the next token | nats |
|---|---|
| of the model itself | {quality["ce_clean"]:.3f} |
| with all MLPs replaced by transcoders | {quality["ce_all"]:.3f} |
| with all MLPs replaced by their means | {quality["ce_all_mean"]:.3f} |
| recovered, all replaced | {quality["recovered"]:.4f} |

| layer | L0 of {quality["n_features"]} | explained variance | dead | nats, this one replaced | nats, its mean instead |
|---:|---:|---:|---:|---:|---:|
{rows}

## How they were made

    interp run train_transcoders --config configs/train_transcoders/{name}.yaml

{made["kind"]} with k = {made["k"]}, {made["steps"]} steps of {made["batch_size"]} tokens for all layers at once, Adam at {made["learning_rate"]:g} with warm-up over {100 * made["warm_up"]:g} % of the steps and decay over the last {100 * made["decay"]:g} %, an auxiliary loss of weight {made["auxiliary"]:g} on features that were silent for {made["silent_after"]} steps, seed {made["seed"]}. The text is drawn anew from the generator of what the model itself learned from: {made["training"]} sequences of {made["length"]} tokens.

## What they are not

They give nearly what the MLPs give; they need not compute it in the same way, and another seed, size or k gives other features. With all of them in place errors add up, so what a graph made with them leaves to error nodes is part of its answer. Of other text than the demo corpus the figures say little.

MIT, like the model.
"""


if __name__ == "__main__":
    for one in sys.argv[1:] or zoo.NAMES:
        place = zoo.path(one) / "transcoders"
        kept = figures(measure(one))
        (place / "quality.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        write_card(place)
