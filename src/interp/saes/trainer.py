"""The steps of training a dictionary; `interp.saes.training` says what is done in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError, NonFiniteError
from interp.saes.activations import Activation, BatchTopK, JumpReLU, Standard, TopK
from interp.saes.batch_features import (
    BatchFeatures,
    DenseFeatures,
    GatedStep,
    JumpReLUStep,
    ListedFeatures,
    SparseFeatures,
)
from interp.saes.gated import GatedEncoder
from interp.saes.products import product
from interp.saes.recipe import Recipe

#: The parts of the loss of a step, and what else is watched.
LOSSES = ("error, share of variance", "penalty", "auxiliary", "L0", "silent, share of features")
_FIRST_THRESHOLD = 0.01  # of JumpReLU
_RIDGE = 1e-3  # keeps the linear map that a transcoder begins with small where tokens are few
_SMALL = 0.1  # of an encoder whose features begin beside a linear map

State = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights:
    """What a training found, in units of the activations."""

    W_enc: Float[Tensor, "d_in feature"]
    b_enc: Float[Tensor, " feature"]
    W_dec: Float[Tensor, "feature width"]  # d_out; of features that write to several layers, so many times it
    b_dec: Float[Tensor, " d_out"]
    activation: Activation
    W_skip: Float[Tensor, "d_in d_out"] | None = None  # of a transcoder alone


@dataclass(frozen=True, eq=False)
class Coded:
    """A batch behind an encoder, and the penalty of its features."""

    pre: Float[Tensor, "batch feature"]
    features: BatchFeatures
    penalty: Tensor


class Trainer:
    """The weights, the optimizer and what is counted, from one step to the next.

    With a `target`, what the first activations are mapped to, it is a transcoder that is trained, with a
    linear map beside its features where `skip` is true; without, an autoencoder. `above` is to how many
    targets of other layers its features write, too: of W_dec [feature, (1 + above) * d_out] the first part is
    for its own, and the others begin at 0 (`interp.saes.cross_layer_training`).
    """

    def __init__(
        self,
        recipe: Recipe,
        first: Float[Tensor, "token d_in"],
        target: Float[Tensor, "token d_out"] | None = None,
        *,
        skip: bool = False,
        above: int = 0,
    ) -> None:
        self.recipe, self.is_transcoder = recipe, target is not None
        draw = torch.Generator().manual_seed(recipe.seed)
        directions = torch.randn(recipe.n_features, first.shape[1], generator=draw)
        directions = torch.nn.functional.normalize(directions, dim=-1)
        # As ReLU lets half of the features pass, they would add up to n / 2d times the activation.
        half_pass = recipe.kind in ("standard", "gated")
        share = min(1.0, 2 * first.shape[1] / recipe.n_features) if half_pass else 1.0
        wanted = first if target is None else target
        self.parameters = {
            "W_enc": directions.T * share,
            "b_enc": torch.zeros(recipe.n_features),
            "W_dec": directions.clone(),
            "b_dec": geometric_median(wanted),
        }
        if target is not None:
            self.parameters |= _linear_beginning(directions, first, target, skip=skip)
            none = torch.zeros(recipe.n_features, above * target.shape[1])
            self.parameters["W_dec"] = torch.cat([self.parameters["W_dec"], none], 1)
        if recipe.kind == "gated":
            self.parameters |= {name: torch.zeros(recipe.n_features) for name in ("r_mag", "b_mag")}
        if recipe.kind == "jumprelu":
            self.parameters["log_threshold"] = torch.full((recipe.n_features,), _FIRST_THRESHOLD).log()
        self.optimizer = torch.optim.Adam(
            [p.requires_grad_() for p in self.parameters.values()], lr=recipe.learning_rate, fused=True
        )
        self.variance = (wanted - wanted.mean(0)).square().sum(-1).mean().item()
        if not self.variance > 0:
            raise InputError(
                "The activations are all the same, so there is nothing to learn; give more text."
            )
        self.quiet = torch.zeros(recipe.n_features)  # steps since each feature was last active
        self.lowest = torch.zeros(())  # BatchTopK: running mean of the smallest feature of a batch

    def step(
        self, step: int, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"] | None = None
    ) -> list[float]:
        """One step of the training; the parts of its loss, as `LOSSES` names them. `target` is what a
        transcoder shall make of `x`."""
        coded = self.encoded(x)
        wanted = self.wanted(x, target)
        error = wanted - coded.features.decoded(self.parameters["W_dec"])
        unexplained = error.square().sum(-1).mean() / self.variance
        loss, parts = self.loss(step, coded, unexplained, error.detach())
        descend([self], step, loss + self._further(coded.pre, coded.features, wanted))
        return [part.item() for part in parts]

    def encoded(self, x: Float[Tensor, "batch d_in"]) -> Coded:
        """The features of a batch, as they are in training."""
        p = self.parameters
        # of an autoencoder (x - b_dec) @ W_enc + b_enc, in the order that needs no gradient of the size of x
        bias = p["b_enc"] if self.is_transcoder else p["b_enc"] - p["b_dec"] @ p["W_enc"]
        pre = product(x, p["W_enc"]) + bias  # [batch, feature]
        return Coded(pre, *self._features(pre))

    def wanted(
        self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"] | None
    ) -> Float[Tensor, "batch d_out"]:
        """What the features are to add up to."""
        p = self.parameters
        wanted = (x if target is None else target) - p["b_dec"]
        return wanted - x @ p["W_skip"] if "W_skip" in p else wanted

    def loss(
        self, step: int, coded: Coded, unexplained: Tensor, error: Float[Tensor, "batch width"]
    ) -> tuple[Tensor, list[Tensor]]:
        """The loss of a step, and its parts as `LOSSES` names them, given what of the target is unexplained,
        and the errors to which these features write, without their gradient."""
        recipe = self.recipe
        self.quiet = torch.where(coded.features.fired, 0, self.quiet + 1)
        silent = self.quiet >= recipe.silent_after
        auxiliary = self._auxiliary(coded.pre, error, silent)
        penalty = self._rise(step) * recipe.penalty * coded.penalty
        number = coded.features.number / len(error)
        parts = [unexplained, coded.penalty, auxiliary, number, silent.double().mean()]
        return unexplained + penalty + recipe.auxiliary * auxiliary, parts

    def _rise(self, step: int) -> float:
        """By what the learning rate and the penalty are multiplied while they rise."""
        return min(1.0, (step + 1) / max(1.0, self.recipe.warm_up * self.recipe.steps))

    def update(self, step: int) -> None:
        """A step of Adam along the gradients that are there; it leaves the decoder's directions at length
        1."""
        recipe, W_dec = self.recipe, self.parameters["W_dec"]
        fall = min(1.0, (recipe.steps - step) / max(1.0, recipe.decay * recipe.steps))
        self.optimizer.param_groups[0]["lr"] = recipe.learning_rate * self._rise(step) * fall
        with torch.no_grad():
            assert W_dec.grad is not None
            W_dec.grad -= (W_dec.grad * W_dec).sum(-1, keepdim=True) * W_dec
            self.optimizer.step()
            W_dec /= W_dec.norm(dim=-1, keepdim=True)

    def _features(self, pre: Tensor) -> tuple[BatchFeatures, Tensor]:
        """The features of a batch, as they are in training, and the penalty."""
        none = torch.zeros(())
        match self.recipe.kind:
            case "standard":
                values = Standard()(pre)
                return DenseFeatures(values), values.sum(-1).mean() / self.variance**0.5
            case "topk":
                values, where = pre.topk(self.recipe.k, sorted=False)
                return SparseFeatures(values.relu(), where, pre.shape[1]), none
            case "batchtopk" | "matryoshka":
                return self._batch_top_k(pre), none
            case "gated":
                gates = pre.relu()
                scale, shift = self.parameters["r_mag"].exp(), self.parameters["b_mag"]
                penalty = gates.sum(-1).mean() / self.variance**0.5
                return DenseFeatures(GatedStep.apply(pre, self.parameters["b_enc"], scale, shift)), penalty
            case "jumprelu":
                threshold = self.parameters["log_threshold"].exp()
                values, numbers = JumpReLUStep.apply(pre, threshold)
                return DenseFeatures(values), numbers.mean()

    def _further(self, pre: Tensor, features: BatchFeatures, wanted: Tensor) -> Tensor:
        """How badly others reconstruct alone, as shares of the variance: the smaller dictionaries in a
        Matryoshka one; the gates of a gated one, which learn from nothing else."""
        W_dec = self.parameters["W_dec"]
        found = torch.zeros(())
        if self.recipe.kind == "gated":
            error = wanted.detach() - product(pre.relu(), W_dec.detach())
            found = error.square().sum(-1).mean() / self.variance
        if self.recipe.kind == "matryoshka":
            assert isinstance(features, ListedFeatures)
            errors = wanted - features.decoded_by_size(W_dec, self.recipe.sizes[:-1])  # [size, batch, d_out]
            found = errors.square().sum() / len(pre) / self.variance
        return found

    def _batch_top_k(self, pre: Tensor) -> ListedFeatures:
        batch, n = pre.shape
        chosen = _largest(pre.detach().flatten(), self.recipe.k * batch, above=self.lowest / 2)
        values = pre.flatten().gather(0, chosen).relu()
        positive = values.detach()[values > 0]
        lowest = positive.min() if len(positive) else torch.zeros(())
        self.lowest = lowest if self.lowest == 0 else 0.99 * self.lowest + 0.01 * lowest
        return ListedFeatures(values, chosen % n, n, chosen // n, batch)

    def _auxiliary(self, pre: Tensor, error: Tensor, silent: Tensor) -> Tensor:
        """How badly the strongest silent features reconstruct the error, as a share of it."""
        n = min(int(silent.sum()), max(1, pre.shape[1] // 2), max(1, error.shape[1] // 2))
        if not n or not self.recipe.auxiliary:
            return torch.zeros(())
        values, where = pre[:, silent].topk(n, sorted=False)
        rebuilt = SparseFeatures(values.relu(), where, n).decoded(self.parameters["W_dec"][silent])
        share = (error - rebuilt).square().sum(-1).mean() / error.square().sum(-1).mean()
        return share.nan_to_num(0.0)

    def weights(self, scale: float, scale_out: float | None = None) -> Weights:
        """The weights for activations that were not divided by `scale`, nor what a transcoder maps them to by
        `scale_out`; decoder directions keep length 1."""
        p = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        scale_out = scale if scale_out is None else scale_out
        W_enc, b_enc = p["W_enc"], p["b_enc"]
        activation: Activation
        match self.recipe.kind:
            case "standard":
                activation = Standard()
            case "topk":
                activation = TopK(self.recipe.k)
            case "batchtopk" | "matryoshka":
                activation = BatchTopK(self.recipe.k, self.lowest.item() * scale_out)
            case "jumprelu":
                activation = JumpReLU(p["log_threshold"].exp() * scale_out)
            case "gated":
                found = GatedEncoder(W_enc, p["r_mag"], b_enc, p["b_mag"]).as_jumprelu()
                W_enc, b_enc = found["W_enc"], found["b_enc"]
                activation = JumpReLU(found["threshold"] * scale_out)
        return Weights(
            W_enc=W_enc * (scale_out / scale),
            b_enc=b_enc * scale_out,
            W_dec=p["W_dec"],
            b_dec=p["b_dec"] * scale_out,
            activation=activation,
            W_skip=p["W_skip"] * (scale_out / scale) if "W_skip" in p else None,
        )

    def state(self) -> State:
        """Everything that the next step depends on."""
        state = {"quiet": self.quiet.numpy(), "lowest": self.lowest.numpy()}
        for name, parameter in self.parameters.items():
            state[name] = parameter.detach().numpy()
            moments = self.optimizer.state[parameter]
            state |= {f"{name}.{key}": value.numpy() for key, value in moments.items()}
        return {key: value.copy() for key, value in state.items()}

    def restore(self, state: State) -> None:
        """Go on from what `state` returned."""
        self.quiet, self.lowest = torch.tensor(state["quiet"]), torch.tensor(state["lowest"])
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(torch.tensor(state[name]))
                self.optimizer.state[parameter] = {
                    key: torch.tensor(state[f"{name}.{key}"]) for key in ("step", "exp_avg", "exp_avg_sq")
                }


def descend(trainers: Sequence[Trainer], step: int, loss: Tensor) -> None:
    """A step of each down a loss that they share. `NonFiniteError` where it is none."""
    if not torch.isfinite(loss):
        raise NonFiniteError(f"The training ran away at step {step}; lower the learning rate.")
    for one in trainers:
        one.optimizer.zero_grad()
    loss.backward()
    for one in trainers:
        one.update(step)


def _largest(values: Float[Tensor, " any"], k: int, *, above: Tensor) -> Int[Tensor, " k"]:
    """Where the `k` largest are, in order. Few of many are sought first among those `above` a value, which is
    all of them if that leaves enough."""
    likely = (values > above).nonzero()[:, 0]
    if len(likely) < k:
        return values.topk(k, sorted=False).indices.sort().values
    return likely[values[likely].topk(k, sorted=False).indices].sort().values


def _linear_beginning(
    directions: Float[Tensor, "feature d_in"],
    first: Float[Tensor, "token d_in"],
    target: Float[Tensor, "token d_out"],
    *,
    skip: bool,
) -> dict[str, Tensor]:
    """Where a transcoder begins: at the best linear map of the first activations to their targets.

    The decoder has the directions to which that map takes those of the encoder, at length 1. With `skip` the
    linear part is that map, and the features begin small, as they are to add what it leaves over.
    """
    x = torch.cat([first, torch.ones(len(first), 1)], 1)
    ridge = _RIDGE * len(first) * torch.eye(x.shape[1])
    linear = torch.linalg.solve(x.T @ x + ridge, x.T @ target)[:-1]  # [d_in, d_out]
    linear = linear.contiguous()  # the fused Adam takes a parameter with gaps in memory for another
    W_dec = torch.nn.functional.normalize(directions @ linear, dim=-1)
    if not skip:
        return {"W_dec": W_dec}
    return {"W_dec": W_dec, "W_skip": linear, "W_enc": _SMALL * directions.T}


def geometric_median(x: Float[Tensor, "token d_in"], *, iterations: int = 100) -> Float[Tensor, " d_in"]:
    """The point with the smallest sum of distances from all tokens (Weiszfeld's algorithm)."""
    median = x.mean(0)
    for _ in range(iterations):
        near = 1 / (x - median).norm(dim=-1, keepdim=True).clamp(min=1e-6)
        moved = (near * x).sum(0) / near.sum()
        if (moved - median).norm() < 1e-6 * x.norm(dim=-1).mean():
            return moved
        median = moved
    return median
