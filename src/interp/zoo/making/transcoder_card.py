"""Measures the transcoders that come with a demo model, and writes their card (``README.md``).

    interp run train_transcoders --config configs/train_transcoders/demo-gpt2.yaml \
        --set save_to=src/interp/zoo/demo-gpt2/transcoders
    python -m interp.zoo.making.transcoder_card demo-gpt2

Cross-layer transcoders (``demo-gpt2-cross-layer``, in ``cross_layer``) likewise.

What is measured are the stored weights, on text from a seed that the training did not draw from. The figures
are kept in ``quality.json``; none of the card stands in this file.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from interp import zoo
from interp.saes.cross_layer_files import is_cross_layer
from interp.saes.results import TranscoderQualityResult
from interp.saes.sources import CROSS_LAYER
from interp.saes.weight_files import read_yaml

SOURCES = (*zoo.NAMES, *(f"{name}{CROSS_LAYER}" for name in zoo.NAMES))
SEED = 1  # of the text; training has 0
SEQUENCES, LENGTH = 32, 128


def place(source: str) -> Path:
    """The folder of one of `SOURCES`."""
    part = "cross_layer" if source.endswith(CROSS_LAYER) else "transcoders"
    return zoo.path(source.removesuffix(CROSS_LAYER)) / part


def measure(source: str, sequences: int = SEQUENCES) -> TranscoderQualityResult:
    """The stored transcoders of a demo model on held-out text; `source` is one of `SOURCES`."""
    import interp
    from interp.saes.transcoder_metrics import measure_transcoders
    from interp.text.sequences import load_text

    model = interp.load_model(source.removesuffix(CROSS_LAYER), device="cpu")
    _, text = load_text(model, "demo", training=1, held_out=sequences, length=LENGTH, seed=SEED)
    return measure_transcoders(model, interp.load_transcoders(source, model), text, seed=SEED)


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
    """Write ``README.md`` from the configuration and ``quality.json`` beside it, and return its path."""
    quality = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    about = _cross_layer(folder) if is_cross_layer(folder) else _of_one_layer_each(folder)
    target = folder / "README.md"
    target.write_text(_card(about, quality), encoding="utf-8")
    return target


@dataclass(frozen=True, kw_only=True)
class _About:
    """What a card says of the dictionaries, beside their quality."""

    name: str  # of the model
    source: str
    library: str
    title: str
    what: str
    training: dict[str, Any]


def _of_one_layer_each(folder: Path) -> _About:
    config = json.loads((folder / "layer_0" / "cfg.json").read_text(encoding="utf-8"))
    about = config["metadata"]
    name = about["model_name"]
    skip = "with a linear map beside them" if "skip" in config["architecture"] else "no skip connection"
    return _About(
        name=name,
        source=name,
        library="saelens",
        title=f"Transcoders for {name}",
        what=f"{config['d_sae']} features ({skip}) for the MLP of each of the LAYERS layers of {name}, the demo model beside it: from the residual stream behind the MLP's norm (`{about['hook_name']}` of layer 0, without gain and bias) to what the MLP writes (`{about['hook_name_out']}`). In SAELens's layout ({config['architecture']}) and {config['dtype']}, a folder a layer.",
        training=about["training"],
    )


def _cross_layer(folder: Path) -> _About:
    config = read_yaml(folder / "config.yaml")
    name = config["model_name"]
    dtype = str(load_file(folder / "W_enc_0.safetensors")["W_enc_0"].dtype).removeprefix("torch.")
    return _About(
        name=name,
        source=f"{name}{CROSS_LAYER}",
        library="circuit-tracer",
        title=f"A cross-layer transcoder for {name}",
        what=f"{config['interp']['training']['n_features']} features for each of the LAYERS layers of {name}, the demo model beside it: from the residual stream behind the norm of a layer's MLP (`{config['feature_input_hook']}`, without gain and bias) to what the MLPs of this layer and of all above write (`{config['feature_output_hook']}`). In circuit-tracer's layout ({config['model_kind']}) and {dtype}.",
        training=config["interp"]["training"],
    )


def _card(about: _About, quality: dict[str, Any]) -> str:
    name, made = about.name, about.training
    columns = zip(
        *(quality[key] for key in ("l0", "explained_variance", "dead", "ce_layer", "ce_layer_mean")),
        strict=True,
    )
    rows = "\n".join(
        f"| {layer} | {l0:.1f} | {explained:.3f} | {100 * dead:.1f} % | {one:.3f} | {mean:.3f} |"
        for layer, (l0, explained, dead, one, mean) in enumerate(columns)
    )
    return f"""---
license: mit
library_name: {about.library}
---

# {about.title}

{about.what.replace("LAYERS", str(len(quality["l0"])))}

    model = interp.load_model("{name}")
    transcoders = interp.load_transcoders("{about.source}", model)
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

    interp run train_transcoders --config configs/train_transcoders/{about.source}.yaml

{made["kind"]} with k = {made["k"]}, {made["steps"]} steps of {made["batch_size"]} tokens for all layers at once, Adam at {made["learning_rate"]:g} with warm-up over {100 * made["warm_up"]:g} % of the steps and decay over the last {100 * made["decay"]:g} %, an auxiliary loss of weight {made["auxiliary"]:g} on features that were silent for {made["silent_after"]} steps, seed {made["seed"]}. The text is drawn anew from the generator of what the model itself learned from: {made["training"]} sequences of {made["length"]} tokens.

## What they are not

They give nearly what the MLPs give; they need not compute it in the same way, and another seed, size or k gives other features. With all of them in place errors add up, so what a graph made with them leaves to error nodes is part of its answer. Of other text than the demo corpus the figures say little.

MIT, like the model.
"""


if __name__ == "__main__":
    for one in sys.argv[1:] or SOURCES:
        kept = figures(measure(one))
        (place(one) / "quality.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        write_card(place(one))
