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
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.errors import InputError, NonFiniteError
from interp.models.base import Model
from interp.progress import report, report_values
from interp.resume import kept
from interp.saes.activations import KINDS, Activation, BatchTopK, JumpReLU, Standard, TopK
from interp.saes.dictionary import SAE, model_facts
from interp.saes.stream import ActivationStream
from interp.sites import Address

LOSSES = ("error, share of variance", "penalty", "auxiliary", "L0", "silent, share of features")
_BANDWIDTH = 0.05  # of JumpReLU's estimator, where activations have a mean square of 1
_FIRST_THRESHOLD = 0.01  # of JumpReLU
_PARTS = 10  # how often the state is kept on the way
_MEDIAN_OF = 4  # batches that b_dec and the scale are computed from

#: The batch of a step, the same whenever it is asked for.
Batches = Callable[[int], Float[Tensor, "batch d_in"]]
State = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a dictionary is trained. Raises `InputError` for what is out of range."""

    kind: Literal["standard", "topk", "batchtopk", "jumprelu"] = "topk"
    n_features: int
    k: int = 32  # TopK, BatchTopK
    penalty: float = 1e-3  # standard, JumpReLU: its weight against the error as a share of the variance
    steps: int = 2000
    learning_rate: float = 1e-3
    warm_up: float = 0.05  # the share of steps over which the learning rate (and the penalty) rise
    decay: float = 0.2  # the share of steps over which the learning rate falls to 0 at the end
    auxiliary: float = 1 / 32  # the weight of the auxiliary loss
    silent_after: int = 100  # steps without being active, after which a feature counts as silent
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"{self.kind!r} is no kind of SAE; choose one of {', '.join(KINDS)}.")
        if min(self.n_features, self.k, self.steps, self.silent_after) < 1 or not self.learning_rate > 0:
            raise InputError(
                "n_features, k, steps and silent_after must be at least 1, and the learning rate above 0."
            )
        if self.k > self.n_features:
            raise InputError(
                f"k={self.k} of {self.n_features} features is not possible; lower k, or give more features."
            )
        if min(self.penalty, self.auxiliary, self.warm_up, self.decay) < 0 or self.warm_up + self.decay > 1:
            raise InputError(
                "penalty, auxiliary, warm_up and decay must not be negative, and warm_up + decay, shares of "
                "the steps, at most 1."
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights:
    """What a training found, in units of the activations."""

    W_enc: Float[Tensor, "d_in feature"]
    b_enc: Float[Tensor, " feature"]
    W_dec: Float[Tensor, "feature d_in"]
    b_dec: Float[Tensor, " d_in"]
    activation: Activation


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
    trainer = _Trainer(recipe, first / scale)
    ends = np.unique(np.linspace(0, recipe.steps, _PARTS + 1).astype(int)).tolist()
    losses = []
    for start, stop in pairwise(ends):

        def advance(start: int = start, stop: int = stop) -> State:
            rows = np.zeros((stop - start, len(LOSSES)))
            for step in range(start, stop):
                rows[step - start] = trainer.step(step, batches(step) / scale)
                report("steps", step + 1, recipe.steps)
                report_values(dict(zip(LOSSES, rows[step - start].tolist(), strict=True)))
            return {**trainer.state(), "losses": rows}

        asked = {"sae": question, "recipe": asdict(recipe), "until": stop}
        state = advance() if question is None else kept(asked, advance)
        trainer.restore(state)
        losses.append(state["losses"])
    return trainer.weights(scale), np.concatenate(losses)


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


class _Trainer:
    """The weights, the optimizer and what is counted, from one step to the next."""

    def __init__(self, recipe: Recipe, first: Float[Tensor, "token d_in"]) -> None:
        self.recipe = recipe
        draw = torch.Generator().manual_seed(recipe.seed)
        directions = torch.randn(recipe.n_features, first.shape[1], generator=draw)
        directions = torch.nn.functional.normalize(directions, dim=-1)
        # As ReLU lets half of the features pass, they would add up to n / 2d times the activation.
        share = min(1.0, 2 * first.shape[1] / recipe.n_features) if recipe.kind == "standard" else 1.0
        self.parameters = {
            "W_enc": directions.T * share,
            "b_enc": torch.zeros(recipe.n_features),
            "W_dec": directions.clone(),
            "b_dec": geometric_median(first),
        }
        if recipe.kind == "jumprelu":
            self.parameters["log_threshold"] = torch.full((recipe.n_features,), _FIRST_THRESHOLD).log()
        self.optimizer = torch.optim.Adam(
            [p.requires_grad_() for p in self.parameters.values()], lr=recipe.learning_rate, fused=True
        )
        self.variance = (first - first.mean(0)).square().sum(-1).mean().item()
        if not self.variance > 0:
            raise InputError(
                "The activations are all the same, so there is nothing to learn; give more text."
            )
        self.quiet = torch.zeros(recipe.n_features)  # steps since each feature was last active
        self.lowest = torch.zeros(())  # BatchTopK: running mean of the smallest feature of a batch

    def step(self, step: int, x: Float[Tensor, "batch d_in"]) -> list[float]:
        """One step of the training; the parts of its loss, as `LOSSES` names them."""
        p, recipe = self.parameters, self.recipe
        rise = min(1.0, (step + 1) / max(1.0, recipe.warm_up * recipe.steps))
        fall = min(1.0, (recipe.steps - step) / max(1.0, recipe.decay * recipe.steps))
        self.optimizer.param_groups[0]["lr"] = recipe.learning_rate * rise * fall

        # (x - b_dec) @ W_enc + b_enc, in the order that needs no gradient of the size of x
        pre = torch.addmm(p["b_enc"] - p["b_dec"] @ p["W_enc"], x, p["W_enc"])  # [batch, feature]
        features, penalty = self._features(pre)
        error = x - (features.decoded(p["W_dec"]) + p["b_dec"])  # [batch, d_in]
        unexplained = error.square().sum(-1).mean() / self.variance
        self.quiet = torch.where(features.fired, 0, self.quiet + 1)
        silent = self.quiet >= recipe.silent_after
        auxiliary = self._auxiliary(pre, error.detach(), silent)
        loss = unexplained + rise * recipe.penalty * penalty + recipe.auxiliary * auxiliary
        if not torch.isfinite(loss):
            raise NonFiniteError(f"The training ran away at step {step}; lower the learning rate.")
        self.optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            W_dec = p["W_dec"]
            assert W_dec.grad is not None
            W_dec.grad -= (W_dec.grad * W_dec).sum(-1, keepdim=True) * W_dec
            self.optimizer.step()
            W_dec /= W_dec.norm(dim=-1, keepdim=True)
        parts = (unexplained, penalty, auxiliary, features.number / len(x), silent.double().mean())
        return [part.item() for part in parts]

    def _features(self, pre: Tensor) -> tuple[_Features, Tensor]:
        """The features of a batch, as they are in training, and the penalty."""
        none = torch.zeros(())
        match self.recipe.kind:
            case "standard":
                values = Standard()(pre)
                return _Dense(values), values.sum(-1).mean() / self.variance**0.5
            case "topk":
                values, where = pre.topk(self.recipe.k, sorted=False)
                return _Sparse(values.relu(), where, pre.shape[1]), none
            case "batchtopk":
                return _Dense(self._batch_top_k(pre)), none
            case "jumprelu":
                threshold = self.parameters["log_threshold"].exp()
                values = _Jump.apply(pre.relu(), threshold)
                return _Dense(values), _Step.apply(pre, threshold).sum(-1).mean()

    def _batch_top_k(self, pre: Tensor) -> Tensor:
        values = pre.relu().flatten()
        chosen = values.topk(self.recipe.k * len(pre), sorted=False)
        positive = chosen.values.detach()[chosen.values > 0]
        lowest = positive.min() if len(positive) else torch.zeros(())
        self.lowest = lowest if self.lowest == 0 else 0.99 * self.lowest + 0.01 * lowest
        return torch.zeros_like(values).scatter(0, chosen.indices, chosen.values).reshape(pre.shape)

    def _auxiliary(self, pre: Tensor, error: Tensor, silent: Tensor) -> Tensor:
        """How badly the strongest silent features reconstruct the error, as a share of it."""
        n = min(int(silent.sum()), max(1, pre.shape[1] // 2), max(1, error.shape[1] // 2))
        if not n or not self.recipe.auxiliary:
            return torch.zeros(())
        values, where = pre[:, silent].topk(n, sorted=False)
        rebuilt = _Sparse(values.relu(), where, n).decoded(self.parameters["W_dec"][silent])
        share = (error - rebuilt).square().sum(-1).mean() / error.square().sum(-1).mean()
        return share.nan_to_num(0.0)

    def weights(self, scale: float) -> Weights:
        """The weights for activations that were not divided by `scale`; decoder directions keep length 1."""
        p = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        activation: Activation
        match self.recipe.kind:
            case "standard":
                activation = Standard()
            case "topk":
                activation = TopK(self.recipe.k)
            case "batchtopk":
                activation = BatchTopK(self.recipe.k, self.lowest.item() * scale)
            case "jumprelu":
                activation = JumpReLU(p["log_threshold"].exp() * scale)
        return Weights(
            W_enc=p["W_enc"],
            b_enc=p["b_enc"] * scale,
            W_dec=p["W_dec"],
            b_dec=p["b_dec"] * scale,
            activation=activation,
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


@dataclass(frozen=True, eq=False)
class _Dense:
    """Features of a batch as they are."""

    values: Float[Tensor, "batch feature"]

    @property
    def fired(self) -> Bool[Tensor, " feature"]:
        """Which are active at any token."""
        return self.values.detach().amax(0) > 0

    @property
    def number(self) -> Tensor:
        """How many are active, at all tokens together."""
        return self.values.detach().count_nonzero()

    def decoded(self, W_dec: Float[Tensor, "feature d_in"]) -> Float[Tensor, "batch d_in"]:
        return self.values @ W_dec


@dataclass(frozen=True, eq=False)
class _Sparse:
    """The `k` features of each token that may be active, out of `n`: the same sums and gradients as
    `_Dense` in a fraction of the time."""

    values: Float[Tensor, "batch k"]
    where: Int[Tensor, "batch k"]
    n: int

    @property
    def fired(self) -> Bool[Tensor, " feature"]:
        return torch.bincount(self.where[self.values > 0], minlength=self.n) > 0

    @property
    def number(self) -> Tensor:
        return self.values.detach().count_nonzero()

    def decoded(self, W_dec: Float[Tensor, "feature d_in"]) -> Float[Tensor, "batch d_in"]:
        return torch.nn.functional.embedding_bag(
            self.where, W_dec, per_sample_weights=self.values, mode="sum"
        )


_Features = _Dense | _Sparse


class _Step(torch.autograd.Function):
    """1 above the threshold, 0 below; its gradient to the threshold by a rectangle kernel (equation 12)."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        return (pre > threshold).to(pre)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[None, Tensor]:
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < _BANDWIDTH / 2).to(pre)
        return None, -(near / _BANDWIDTH * grad[0]).sum(0)


class _Jump(torch.autograd.Function):
    """The value above the threshold, 0 below; its gradient to the threshold likewise (equation 11)."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        return pre * (pre > threshold)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, Tensor]:
        pre, threshold = ctx.saved_tensors
        near = ((pre - threshold).abs() < _BANDWIDTH / 2).to(pre)
        return (pre > threshold) * grad[0], -(threshold / _BANDWIDTH * near * grad[0]).sum(0)
