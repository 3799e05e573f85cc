"""Prints measurements of docs/saes.md, on the SAEs in the package.

    python docs/interventions.py

Own features: of 20 prompts of each task, the features at END whose knock-out alone lowers the logit
difference most are knocked out together; beside them, as many others that are active there (the mean of
three draws).

Steering: 20 held-out prompts of known and of unknown people, steered by features of demo-qwen3 and by three
random directions of the same length; the mean probability of " unknown", in how many prompts it is the
likeliest next token, and the mean KL.
"""

from __future__ import annotations

import random

import numpy as np
import torch

import interp
from interp.tasks.inspection import drop_failures, inspect_dataset
from interp.zoo.people import UNKNOWN, person_prompts

SIZES = (1, 2, 4, 8)
DRAWS = 3
FEATURES = (177, 429)
STRENGTHS = (-200, -150, -100, -50, 50, 100, 150, 200)


def own_features() -> None:
    print("| model | task | as it is |" + "".join(f" without {k} |" for k in SIZES))
    for name in ("demo-gpt2", "demo-qwen3"):
        model = interp.load_model(name, device="cpu")
        sae = interp.load_sae(name, model)
        for task in ("indirect_objects", "facts"):
            made = interp.make_dataset(task, model, n=20)
            pairs = drop_failures(made, inspect_dataset(model, made))
            found = interp.feature_effects(model, sae, pairs, roles=["END"], steps=1)
            cells = [f"{found.before.mean():.1f}"]
            for k in SIZES:
                values = np.stack([without(model, sae, found, i, pair, k) for i, pair in enumerate(pairs)])
                own, others = values[:, 0], values[:, 1:]
                cells.append(f"{own.mean():.1f} ({100 * (own > 0).mean():.0f} %); {others.mean():.1f}")
            print(f"| {name} | {task} | " + " | ".join(cells) + " |", flush=True)


def without(model, sae, found, prompt: int, pair, k: int) -> np.ndarray:
    """The logit difference without the k strongest features, and without k others, [1 + draw]."""
    entries = np.flatnonzero(found.entries.prompt == prompt)
    order = found.entries.feature[entries[np.argsort(found.entries.exact[entries])]]
    draw = np.random.default_rng(prompt)
    sets = [order[:k], *(draw.choice(order[k:], k, replace=False) for _ in range(DRAWS))]
    branches = [[interp.feature_edit(sae, "ablate", one.tolist(), positions=-1)] for one in sets]
    readout = interp.Readout.logit_diff(pair.answer, pair.foil)
    return model.sweep(pair.clean, branches, readout).values.numpy()


def steering() -> None:
    model = interp.load_model("demo-qwen3", device="cpu")
    sae = interp.load_sae("demo-qwen3", model)
    draw = random.Random(0)
    for status in ("known", "unknown"):
        held_out = [p.text for p in person_prompts() if p.person.status == status and p.held_out]
        prompts = draw.sample(held_out, 20)
        ways = {f"feature {f}": {"sae": sae, "feature": f} for f in FEATURES}
        for seed in range(DRAWS):
            direction = torch.randn(sae.d_in, generator=torch.Generator().manual_seed(seed))
            direction *= sae.W_dec[FEATURES[0]].norm() / direction.norm()
            ways[f"random direction {seed}"] = {"direction": direction, "at": sae.address}
        for name, way in ways.items():
            found = interp.steering(model, prompts, STRENGTHS, track=[UNKNOWN], n_tokens=0, **way)
            steered = found.steered
            said = [sum(rows[s][0] == UNKNOWN for rows in steered.top) for s in range(len(STRENGTHS))]
            cells = zip(
                STRENGTHS, steered.probabilities[..., 0].mean(0), said, steered.kl.mean(0), strict=True
            )
            own = "" if found.activation is None else f", active at {np.mean(found.activation):.0f}"
            print(f"{status} people, {name}{own}")
            print("  " + "; ".join(f"{s}: p {p:.2f}, {n} of 20, KL {kl:.2f}" for s, p, n, kl in cells))


if __name__ == "__main__":
    own_features()
    steering()
