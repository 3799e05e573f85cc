"""Training a sparse autoencoder, or a transcoder, on activations.

1. Activations are divided by their usual size, so that their mean square is 1 and one learning rate does for
   every site. At the end this is folded into the weights.
2. b_dec begins as the geometric median of the first batches; the directions of the decoder are random, and
   the encoder begins as its transpose (Bricken et al. 2023,
   https://transformer-circuits.pub/2023/monosemantic-features), scaled so that the reconstruction begins at
   the size of the activation where nothing but ReLU holds it down (standard).
3. The loss is the squared error as a share of the variance, and a penalty by kind (see
   `interp.saes.activations`): the L1 norm of the features (standard), their number (JumpReLU, through a
   straight-through estimator of bandwidth 0.05), none (TopK, BatchTopK). Two kinds have more to it:

   - matryoshka: a BatchTopK of which the first half of the features is to reconstruct by itself, too, and the
     first quarter, and so on (Bussmann et al. 2025, https://arxiv.org/abs/2503.17547): general features come
     first, and are not taken over by special ones. In use it is a BatchTopK.
   - gated: which features are active says one encoder, how strong they are a scaled and shifted copy of it
     (Rajamanoharan et al. 2024, https://arxiv.org/abs/2404.16014). The L1 penalty is on the first alone, so
     that it does not make the features smaller; the first learns by reconstructing alone, too, with the
     decoder held. In use it is a JumpReLU (`interp.saes.gated`).
4. Features that were silent for long reconstruct the error: the auxiliary loss of Gao et al. 2024
   (https://arxiv.org/abs/2406.04093, appendix A.2), for every kind.
5. Adam, with the part of the gradient along each decoder direction removed, and every direction brought back
   to length 1 after each step.

A transcoder (`interp.saes.transcoder`) is trained in the same way, but for its targets: these are divided by
their usual size, too; b_dec is their median and is not taken off what is read; and the decoder begins where
the best linear map from activations to targets takes the directions of the encoder.

Within `interp.resuming`, the state is kept ten times on the way, to go on from after a kill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
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
from interp.saes.memory import check_memory
from interp.saes.recipe import Recipe
from interp.saes.stream import ActivationStreams
from interp.saes.trainer import LOSSES, State, Trainer, Weights
from interp.sites import Address

_PARTS = 10  # how often the state is kept on the way
_MEDIAN_OF = 4  # batches that b_dec and the scale are computed from

#: The batch of a step, the same whenever it is asked for.
Batches = Callable[[int], Float[Tensor, "batch d_in"]]
#: Activations, and what a transcoder maps them to.
Pair = tuple[Float[Tensor, "batch d_in"], Float[Tensor, "batch d_out"] | None]
#: The pairs of a step, one for each dictionary that is trained, the same whenever they are asked for.
SeveralBatches = Callable[[int], Sequence[Pair]]
#: Takes a step of all that are trained, given its scaled batches; the parts of the loss of each.
Step = Callable[[int, Sequence[Pair]], list[list[float]]]


def train_sae(
    model: Model,
    site: str,
    layer: int | None,
    text: Sequence[Sequence[int]],
    recipe: Recipe,
    *,
    batch_size: int = 1024,
    buffered: int = 256,
    shards: str | Path | None = None,
) -> tuple[SAE, Float[np.ndarray, "step part"]]:
    """Train a dictionary of the activations at a site on `text`, sequences of token ids of one length.

    Deterministic by `recipe.seed` and everything else that is given. `batch_size` is in tokens; `buffered` is
    the number of sequences over which they are shuffled. `shards` is a folder in which the activations of all
    the text are kept, for this training and others (`interp.saes.shards`); without, none are.

    Returns:
        the SAE, and of each step the parts of the loss that `LOSSES` names.

    Raises:
        InputError: text or sizes that cannot be used, more than memory or disk have room for, shards of
            something else. SiteError: the model does not have this site.
        NonFiniteError: the training ran away; lower the learning rate.
    """
    (found,) = train_saes(
        model,
        [Address(site, layer)],
        text,
        recipe,
        batch_size=batch_size,
        buffered=buffered,
        shards=shards,
    )
    return found


@outside_inference_mode
def train_saes(
    model: Model,
    addresses: Sequence[Address],
    text: Sequence[Sequence[int]],
    recipe: Recipe,
    *,
    batch_size: int = 1024,
    buffered: int = 256,
    shards: str | Path | None = None,
) -> list[tuple[SAE, Float[np.ndarray, "step part"]]]:
    """Train a dictionary for each of several sites at once: the model runs once for all of them, and each is
    what `train_sae` makes of it alone, to the last bit.

    All by one recipe, and so of as many features. What is held at once grows with the number of sites. See
    `train_sae` for all else.
    """
    if not addresses or len(set(addresses)) != len(addresses):
        raise InputError("Give one site or more, each once, to train dictionaries for.")
    streams = ActivationStreams(
        model, addresses, text, batch_size=batch_size, buffered=buffered, seed=recipe.seed, shards=shards
    )
    check_memory(streams, recipe)
    facts: Any = model_facts(model)
    question = {
        "model": model.identity.to_dict(),
        **facts,
        "addresses": [str(address) for address in addresses],
        "text": hashlib.sha256(np.asarray(text).tobytes()).hexdigest(),
        "batch_size": batch_size,
        "buffered": buffered,
        "from shards": shards is not None,  # of which the model's rounding may be another
    }
    trained = train_side_by_side(lambda step: [(x, None) for x in streams(step)], recipe, question=question)
    found = []
    for address, (weights, losses) in zip(addresses, trained, strict=True):
        fields = {name: value for name, value in vars(weights).items() if name != "W_skip"}
        found.append((SAE(**fields, address=address, **facts), losses))
    return found


def train(
    batches: Batches, recipe: Recipe, *, question: dict[str, Any] | None = None
) -> tuple[Weights, Float[np.ndarray, "step part"]]:
    """Train a dictionary on any activations; `batches(step)` gives those of a step.

    `question` says what the activations are, in JSON values, so that kept parts are found again; without it
    nothing is kept.
    """
    (found,) = train_side_by_side(lambda step: [(batches(step), None)], recipe, question=question)
    return found


def train_side_by_side(
    batches: SeveralBatches, recipe: Recipe, *, skip: bool = False, question: dict[str, Any] | None = None
) -> list[tuple[Weights, Float[np.ndarray, "step part"]]]:
    """Train several dictionaries by one recipe, each on its own activations of the same tokens.

    `batches(step)` has for each the activations, and what a transcoder maps them to, or None. `skip` gives
    transcoders a linear map beside their features. `question` as in `train`.
    """
    firsts = first_batches(batches, recipe)
    trainings = [Training.begun(recipe, own, skip=skip) for own in firsts]

    def each(step: int, pairs: Sequence[Pair]) -> list[list[float]]:
        return [one.trainer.step(step, *pair) for one, pair in zip(trainings, pairs, strict=True)]

    losses = advance(trainings, each, batches, recipe, question)
    return [(one.weights(), of_one) for one, of_one in zip(trainings, losses, strict=True)]


def first_batches(batches: SeveralBatches, recipe: Recipe) -> list[tuple[Pair, ...]]:
    """For each dictionary the batches by which it begins."""
    return list(zip(*(batches(step) for step in range(min(_MEDIAN_OF, recipe.steps))), strict=True))


@dataclass(frozen=True, eq=False)
class Training:
    """One dictionary in training, and the usual size of what it reads and of what it makes of it."""

    trainer: Trainer
    scale: float
    scale_out: float

    @classmethod
    def begun(cls, recipe: Recipe, firsts: Sequence[Pair], *, skip: bool, above: int = 0) -> Training:
        """The first step of a training, given the first batches; `skip` and `above` as of `Trainer`."""
        x = torch.cat([x for x, _ in firsts])
        targets = [target for _, target in firsts if target is not None]
        scale, scale_out = (_size(torch.cat(some)) if some else None for some in ([x], targets))
        assert scale is not None
        target = torch.cat(targets) / scale_out if scale_out is not None else None
        trainer = Trainer(recipe, x / scale, target, skip=skip, above=above)
        return cls(trainer, scale, scale if scale_out is None else scale_out)

    def scaled(self, x: Tensor, target: Tensor | None) -> Pair:
        """A batch as the trainer takes it."""
        return x / self.scale, None if target is None else target / self.scale_out

    def weights(self) -> Weights:
        return self.trainer.weights(self.scale, self.scale_out)


def _size(x: Tensor) -> float:
    """The usual size of activations: the root of their mean square."""
    size = x.square().mean().sqrt().item()
    if not size > 0:
        raise InputError("The activations are all zero, so there is nothing to learn; choose another site.")
    return size


def advance(
    trainings: Sequence[Training],
    take_step: Step,
    batches: SeveralBatches,
    recipe: Recipe,
    question: dict[str, Any] | None,
) -> Float[np.ndarray, "training step part"]:
    """Train from beginning to end, the state being kept on the way; the parts of the loss that `LOSSES`
    names."""
    ends = np.unique(np.linspace(0, recipe.steps, _PARTS + 1).astype(int)).tolist()
    losses = []
    for start, stop in pairwise(ends):
        make = partial(_part, trainings, take_step, batches, start, stop)
        asked = {"sae": question, "recipe": asdict(recipe), "until": stop}
        state = make() if question is None else kept(asked, make)
        for number, training in enumerate(trainings):
            training.trainer.restore(_own_state(state, number))
        losses.append(state["losses"])
    return np.concatenate(losses, axis=1)


def _part(
    trainings: Sequence[Training], take_step: Step, batches: SeveralBatches, start: int, stop: int
) -> State:
    """Train from one step to another; the trainers' states, and the `losses` [training, step, part] on the
    way."""
    losses = np.zeros((len(trainings), stop - start, len(LOSSES)))
    for step in range(start, stop):
        pairs = [one.scaled(*pair) for one, pair in zip(trainings, batches(step), strict=True)]
        losses[:, step - start] = take_step(step, pairs)
        report("steps", step + 1, trainings[0].trainer.recipe.steps)
        report_values(dict(zip(LOSSES, losses[:, step - start].mean(0).tolist(), strict=True)))
    states = {
        f"{number}.{key}": value
        for number, training in enumerate(trainings)
        for key, value in training.trainer.state().items()
    }
    return {**states, "losses": losses}


def _own_state(state: State, number: int) -> State:
    """The state of one trainer among several."""
    own = f"{number}."
    return {key.removeprefix(own): value for key, value in state.items() if key.startswith(own)}
