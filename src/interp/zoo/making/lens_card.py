"""Measures the Jacobian lens that comes with a demo model, and writes its card (``README.md``).

    interp run train_jacobian_lens --config configs/train_jacobian_lens/demo-gpt2.yaml \\
      --set save_to=src/interp/zoo/demo-gpt2/jacobian_lens
    python -m interp.zoo.making.lens_card demo-gpt2

What is measured are the stored matrices, on text from a seed that the fit did not draw from. The figures are kept
in ``card.json``; none of the card stands in this file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from interp import zoo
from interp.methods.lens.cards import read_card, write_card
from interp.methods.lens.results import LensCard, LensQualityResult

FOLDER = "jacobian_lens"
SEED = 1  # of the text; the fit has 0
SEQUENCES, LENGTH = 16, 128


def measure(name: str, sequences: int = SEQUENCES) -> LensQualityResult:
    """The stored lens of a demo model on held-out text."""
    import interp
    from interp.text.sequences import load_text

    model = interp.load_model(name, device="cpu")
    _, text = load_text(model, "demo", training=1, held_out=sequences, length=LENGTH, seed=SEED)
    described = f"{sequences} sequences of {LENGTH} tokens of the demo corpus, from a seed not fitted on"
    return interp.measure_lens(
        model, interp.JacobianLens.load(name, model), text, described=described, seed=SEED
    )


def write_readme(folder: Path) -> Path:
    """Write ``README.md`` from the ``config.json`` and ``card.json`` beside it, and return its path."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    card = read_card(folder)
    assert card is not None
    target = folder / "README.md"
    target.write_text(_readme(config, card), encoding="utf-8")
    return target


def _readme(config: dict[str, Any], card: LensCard) -> str:
    name, made = config["base_model_name_or_path"], config["settings"]
    errors = [f"{100 * error:.1f} %" for error in config["error"]] + [""]
    rows = [
        f"| {layer} | {card.logit_kl[i]:.2f} | {card.kl[i]:.2f} | {card.logit_top1[i]:.2f} | {card.top1[i]:.2f} "
        f"| {errors[i]} |"
        for i, layer in enumerate(card.layers)
    ]
    return f"""---
license: mit
---

# A Jacobian lens for {name}

For the embedding and each layer but the last of {name}, the demo model beside it, the mean Jacobian of the last layer's stream with respect to this one's, in float16 (Gurnee et al. 2026, https://transformer-circuits.pub/2026/workspace/index.html).

    lens = interp.JacobianLens.load("{name}", model)

## How good it is

KL of the model's prediction from the lens's, in nats, and the share of tokens of which the likeliest next one is the model's, on {card.n_tokens} tokens of text that the fit did not draw, by `interp.measure_lens` on the stored matrices; a test measures again. The standard error is that of the matrix over prompts, as a share of its norm.

| after layer | KL, logit lens | KL, this lens | top-1, logit lens | top-1, this lens | standard error |
|---|---|---|---|---|---|
{chr(10).join(rows)}

## How it was made

    interp run train_jacobian_lens --config configs/train_jacobian_lens/{name}.yaml

{config["n_prompts"]} prompts of {made["length"][1]} tokens, without the first {made["skip_first"]} positions and the last, seed {made["seed"]}. The text is drawn anew from the generator of what the model itself learned from.

## What it is not

It was not trained to predict: at a layer where it is far from the model, that is what was found. It is a mean over text that is generated from patterns, so that of other text the figures say little; and the mean of a first-order effect need not be what a state does in one prompt.

MIT, like the model.
"""


if __name__ == "__main__":
    for one in sys.argv[1:] or zoo.NAMES:
        place = zoo.path(one) / FOLDER
        write_card(place, measure(one).card)
        write_readme(place)
