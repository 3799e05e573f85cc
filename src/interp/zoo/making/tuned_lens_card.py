"""Trains the tuned lens that comes with a demo model, measures it, and writes its cards.

    python -m interp.zoo.making.tuned_lens_card demo-gpt2

What is measured are the stored weights, on text from a seed that the training did not draw from. The figures
are kept in ``card.json``; none of ``README.md`` stands in this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from interp import zoo

SEED = 1  # of the text that is measured on; training has 0
STEPS, TRAINING = 100, 400  # steps of 8 sequences, drawn from so many
SEQUENCES, LENGTH = 24, 128


def make(name: str) -> Path:
    """Train, store, measure what was stored, and write the cards; returns the folder."""
    import torch

    import interp
    from interp.methods.lens.cards import write_card
    from interp.text.sequences import load_text

    model, folder = interp.load_model(name, device="cpu"), zoo.path(name) / "tuned_lens"
    text, _ = load_text(model, "demo", training=TRAINING, held_out=1, length=LENGTH)
    interp.train_tuned_lens(model, text, steps=STEPS)[0].save(folder, dtype=torch.float16)
    _, held_out = load_text(model, "demo", training=1, held_out=SEQUENCES, length=LENGTH, seed=SEED)
    described = f"{SEQUENCES} sequences of {LENGTH} tokens of the demo corpus, from a seed not trained on"
    measured = interp.measure_lens(
        model, interp.load_lens(folder, model), held_out, described=described, seed=SEED
    )
    write_card(folder, measured.card)
    write_readme(folder)
    return folder


def write_readme(folder: Path) -> None:
    """Write ``README.md`` from the ``card.json`` beside it."""
    from interp.methods.lens.cards import read_card

    card, name = read_card(folder), folder.parent.name
    assert card is not None
    rows = "\n".join(
        f"| {layer} | {card.kl[i]:.2f} | {card.logit_kl[i]:.2f} | {card.top1[i]:.2f} | {card.logit_top1[i]:.2f} |"
        for i, layer in enumerate(card.layers)
    )
    text = f"""---
license: mit
---

# A tuned lens for {name}

An affine translator for each layer but the last of {name}, the demo model beside it, in the layout of the tuned-lens library and float16.

    interp.logit_lens(model, "The Eiffel Tower is in the city of", " Paris", lens="tuned")

Measured on the stored weights by `interp.measure_lens`, on {card.text} ({card.n_tokens} tokens): KL from the model's prediction in nats, and the share of tokens of which the likeliest next one is the model's.

| after layer | KL | of the logit lens | first token is the model's | by the logit lens |
|---|---|---|---|---|
{rows}

Made by `python -m interp.zoo.making.tuned_lens_card {name}`: {STEPS} steps of 8 sequences of {LENGTH} tokens, drawn from {TRAINING}, seed 0. The text is drawn from the generator of what the model itself learned from; of other text the figures say little. A translator is trained to predict, and may find in a layer what the model does not use there.

MIT, like the model.
"""
    (folder / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or zoo.NAMES:
        print(make(name))
