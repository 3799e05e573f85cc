"""Training a sparse autoencoder on activations.

1. Activations are divided by their usual size, so that their mean square is 1 and one learning rate does for
   every site. At the end this is folded into the weights.
2. b_dec begins as the geometric median of the first batches; the directions of the decoder are random, and
   the encoder begins as its transpose (Bricken et al. 2023,
   https://transformer-circuits.pub/2023/monosemantic-features), scaled so that the reconstruction begins at
   the size of the activation where nothing but ReLU holds it down (standard).
3. The loss is the squared error as a share of the variance, and a penalty by kind (see
   `interp.saes.activations`): the L1 norm of the features (standard), their number (JumpReLU, through a
   straight-through estimator of bandwidth 0.05), none (TopK, BatchTopK).
4. Features that were silent for long reconstruct the error: the auxiliary loss of Gao et al. 2024
   (https://arxiv.org/abs/2406.04093, appendix A.2), for every kind.
5. Adam, with the part of the gradient along each decoder direction removed, and every direction brought back
   to length 1 after each step.

Within `interp.resuming`, the state is kept ten times on the way, to go on from after a kill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.progress import report, report_values
from interp.resume import kept
from interp.saes.dictionary import SAE, model_facts
from interp.saes.recipe import Recipe
from interp.saes.stream import ActivationStream
from interp.saes.trainer import LOSSES, State, Trainer, Weights
from interp.sites import Address

_PARTS = 10  # how often the state is kept on the way
_MEDIAN_OF = 4  # batches that b_dec and the scale are computed from

#: The batch of a step, the same whenever it is asked for.
Batches = Callable[[int], Float[Tensor, "batch d_in"]]


@outside_inference_mode
def train_sae(
    model: Model,
    site: str,
    layer: int | None,
    text: Sequence[Sequence[int]],
    recipe: Recipe,
    *,
    batch_size: int = 1024,
    buffered: int = 256,
) -> tuple[SAE, Float[np.ndarray, "step part"]]:
    """Train a dictionary of the activations at a site on `text`, sequences of token ids of one length.

    Deterministic by `recipe.seed` and everything else that is given. `batch_size` is in tokens; `buffered` is
    the number of sequences over which they are shuffled.

    Returns:
        the SAE, and of each step the parts of the loss that `LOSSES` names.

    Raises:
        InputError: text or sizes that cannot be used. SiteError: the model does not have this site.
        NonFiniteError: the training ran away; lower the learning rate.
    """
    address = Address(site, layer)
    stream = ActivationStream(
        model, address, text, batch_size=batch_size, buffered=buffered, seed=recipe.seed
    )
    question = {
        "model": model.identity.to_dict(),
        **model_facts(model),
        "address": str(address),
        "text": hashlib.sha256(np.asarray(text).tobytes()).hexdigest(),
        "batch_size": batch_size,
        "buffered": buffered,
    }
    weights, losses = train(stream, recipe, question=question)
    facts: Any = model_facts(model)
    return SAE(**vars(weights), address=address, **facts), losses


def train(
    batches: Batches, recipe: Recipe, *, question: dict[str, Any] | None = None
) -> tuple[Weights, Float[np.ndarray, "step part"]]:
    """Train a dictionary on any activations; `batches(step)` gives those of a step.

    `question` says what the activations are, in JSON values, so that kept parts are found again; without it
    nothing is kept.
    """
    first = torch.cat([batches(step) for step in range(min(_MEDIAN_OF, recipe.steps))])
    scale = first.square().mean().sqrt().item()
    if not scale > 0:
        raise InputError("The activations are all zero, so there is nothing to learn; choose another site.")
    trainer = Trainer(recipe, first / scale)
    ends = np.unique(np.linspace(0, recipe.steps, _PARTS + 1).astype(int)).tolist()
    losses = []
    for start, stop in pairwise(ends):
        advance = partial(_advance, trainer, batches, scale, start, stop)
        asked = {"sae": question, "recipe": asdict(recipe), "until": stop}
        state = advance() if question is None else kept(asked, advance)
        trainer.restore(state)
        losses.append(state["losses"])
    return trainer.weights(scale), np.concatenate(losses)


def _advance(trainer: Trainer, batches: Batches, scale: float, start: int, stop: int) -> State:
    """Train from one step to another; the trainer's state, and the `losses` [step, part] on the way."""
    losses = np.zeros((stop - start, len(LOSSES)))
    for step in range(start, stop):
        parts = trainer.step(step, batches(step) / scale)
        losses[step - start] = parts
        report("steps", step + 1, trainer.recipe.steps)
        report_values(dict(zip(LOSSES, parts, strict=True)))
    return {**trainer.state(), "losses": losses}
