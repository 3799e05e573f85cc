"""How good a sparse autoencoder is: one written definition of each metric, and how they are measured on text.

Over tokens t of a text, with activations x_t, reconstructions y_t, and m the mean of x_t over all tokens:

- **L0**: the mean over tokens of the number of features above 0.
- **explained variance**: ``1 - sum |x_t - y_t|^2 / sum |x_t - m|^2``: centred in each dimension, sums over
  tokens and dimensions. Also called 1 - FVU.
- **explained variance per token**: the mean over tokens of ``1 - |x_t - y_t|^2 / |x_t - m|^2``, which some
  libraries report under the same name; each token weighs the same, however near the mean it is.
- **CE recovered**: ``(ablated - sae) / (ablated - clean)``, cross-entropies of the next token in nats, with
  the activations left alone (clean), replaced by their reconstructions (sae), or by zeros or by m (ablated).
  Against zeros it looks better, since zeros are further from what a model has seen; both are given.
- **density** of a feature: the share of tokens at which it is above 0. **Dead**: density 0 on this text.
- **feature cosine**: of each direction, the largest cosine with any direction of another dictionary.

Those that are made of other metrics (CE recovered, dead) are computed by `interp.saes.results`.

The first position of each sequence and padding are not counted and not replaced. At the first, BOS or not,
many models have activations that are far larger than all others, and would be most of the variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.saes.dictionary import SAE, flat
from interp.saes.results import SAEQualityResult
from interp.tokens import Prompt, Tokens

EXCLUDED = "the first position of each sequence and padding"


def l0(features: Float[Tensor, "token feature"]) -> float:
    """The mean number of features above 0."""
    return (features > 0).double().sum(-1).mean().item()


def explained_variance(x: Float[Tensor, "token d_in"], y: Float[Tensor, "token d_in"]) -> float:
    """1 - the squared error over the squared distance from the mean, both summed over tokens."""
    error, variance = _squares(x, y, x.double().mean(0))
    return _explained(error.sum().item(), variance.sum().item())


def explained_variance_per_token(x: Float[Tensor, "token d_in"], y: Float[Tensor, "token d_in"]) -> float:
    """The mean over tokens of 1 - the squared error over the squared distance from the mean."""
    error, variance = _squares(x, y, x.double().mean(0))
    return (1 - error / variance).mean().item()


def density(features: Float[Tensor, "token feature"]) -> Float[Tensor, " feature"]:
    """The share of tokens at which each feature is above 0."""
    return (features > 0).double().mean(0)


def feature_cosine(
    directions: Float[Tensor, "feature d_in"], others: Float[Tensor, "other d_in"]
) -> Float[Tensor, " feature"]:
    """Of each of `directions`, the largest cosine with any of `others`."""
    a, b = (torch.nn.functional.normalize(w.double(), dim=-1) for w in (directions, others))
    return (a @ b.T).amax(-1)


def measure_sae(
    model: Model,
    sae: SAE,
    text: Sequence[Prompt],
    *,
    described: str = "the given text",
    losses: Float[np.ndarray, "step part"] | None = None,
    loss_names: tuple[str, ...] = (),
    batch_size: int = 8,
    seed: int = 0,
) -> SAEQualityResult:
    """Measure `sae` on `text`, which training should not have seen.

    `described` says in words what text it is; `losses` of the training and their names are recorded.

    Raises:
        InputError: an SAE of another model; a text without two tokens in a row behind the first position.
        SiteError: the model does not have the SAE's site.
    """
    sae.check_fits(model)
    batches = [model.to_tokens(text[i : i + batch_size]) for i in range(0, len(text), batch_size)]
    if not batches or any(min(batch.lengths) < 3 for batch in batches):
        raise InputError("Each sequence of the text must have three tokens or more; give longer text.")
    mean = _mean_activation(model, sae, batches)
    sums = _Sums.none(sae)
    for done, batch in enumerate(batches):
        sums += _sums_of_batch(model, sae, batch, mean)
        report("batches", done + 1, len(batches))
    return SAEQualityResult(
        provenance=Provenance.of(model, seed=seed),
        text=described,
        excluded=EXCLUDED,
        n_tokens=sums.n_tokens,
        sae=sae.identity,
        l0=sums.active.sum().item() / sums.n_tokens,
        explained_variance=_explained(sums.error, sums.variance),
        explained_variance_per_token=sums.explained / sums.n_tokens,
        **{f"ce_{run}": nats / sums.n_next for run, nats in sums.cross_entropy.items()},
        density=(sums.active / sums.n_tokens).numpy(),
        losses=losses,
        loss_names=loss_names,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Sums:
    """What is summed over the tokens that are counted."""

    n_tokens: int
    n_next: int  # tokens of which the next one is predicted
    error: float  # squared
    variance: float  # the squared distance from the mean
    explained: float  # 1 - error / variance of each token
    active: Float[Tensor, " feature"]  # tokens at which each is above 0
    cross_entropy: dict[str, float]  # nats, of each run: clean, sae, zero, mean

    @classmethod
    def none(cls, sae: SAE) -> _Sums:
        """The sums over no token."""
        active = torch.zeros(sae.n_features, dtype=torch.float64)
        zero = dict.fromkeys(("clean", "sae", "zero", "mean"), 0.0)
        return cls(
            n_tokens=0, n_next=0, error=0.0, variance=0.0, explained=0.0, active=active, cross_entropy=zero
        )

    def __add__(self, other: _Sums) -> _Sums:
        sums = ("n_tokens", "n_next", "error", "variance", "explained", "active")
        own = {name: getattr(self, name) + getattr(other, name) for name in sums}
        ce = {run: nats + other.cross_entropy[run] for run, nats in self.cross_entropy.items()}
        return _Sums(**own, cross_entropy=ce)


def _mean_activation(model: Model, sae: SAE, batches: Sequence[Tokens]) -> Float[Tensor, " d_in"]:
    """The mean over all tokens that are counted; float64."""
    total, n_tokens = torch.zeros(sae.d_in, dtype=torch.float64), 0
    for batch in batches:
        raw = model.run_with_cache(batch, [sae.address], logits=False)[sae.address]
        x = flat(sae.address.site, raw).cpu()[counted(batch)].double()
        total += x.sum(0)
        n_tokens += len(x)
    return total / n_tokens


def _sums_of_batch(model: Model, sae: SAE, batch: Tokens, mean: Float[Tensor, " d_in"]) -> _Sums:
    """What a batch adds: one run as it is, and three with the activations replaced."""
    cache = model.run_with_cache(batch, [sae.address])
    raw, keep = cache[sae.address], counted(batch)
    x = flat(sae.address.site, raw)
    features = sae.encode(x.float())
    y = sae.decode(features, x.float())
    errors, variances = _squares(x.cpu()[keep], y.cpu()[keep], mean)
    put = _replacer(model, sae, batch, raw, keep)
    replaced = {"sae": y, "zero": torch.zeros_like(x), "mean": mean.to(x).expand_as(x)}
    nats = {"clean": cross_entropy(cache.logits, batch, keep)}
    del cache  # or its logits are held beside those of each run
    for run, value in replaced.items():
        nats[run] = cross_entropy(put(value), batch, keep)
    return _Sums(
        n_tokens=int(keep.sum()),
        n_next=int(has_next(keep, batch).sum()),
        error=errors.sum().item(),
        variance=variances.sum().item(),
        explained=(1 - errors / variances).sum().item(),
        active=(features.cpu()[keep] > 0).double().sum(0),
        cross_entropy=nats,
    )


def counted(tokens: Tokens) -> Bool[Tensor, "batch pos"]:
    """True where an activation is counted: not at the first position of a sequence, and not at padding."""
    keep = tokens.mask.clone()
    keep[:, 0] = False
    return keep


def _squares(x: Tensor, y: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Of each token: the squared error, and the squared distance from the mean; float64."""
    x, y = x.double(), y.double()
    return (x - y).square().sum(-1), (x - mean).square().sum(-1)


def _explained(error: float, variance: float) -> float:
    if not variance > 0:
        raise InputError(
            "The activations are all the same, so there is no variance to explain; give more text."
        )
    return 1 - error / variance


def _replacer(model: Model, sae: SAE, batch: Tokens, raw: Tensor, keep: Tensor) -> Callable[[Tensor], Tensor]:
    """A function from activations [batch, pos, d_in] to the logits with these in place where `keep` says."""
    site, layer = sae.address.site, sae.address.layer
    where = keep.to(raw.device).reshape(*keep.shape, *[1] * (raw.ndim - 2))

    def put(value: Tensor) -> Tensor:
        value = torch.where(where, value.reshape(raw.shape).to(raw.dtype), raw)
        return model.forward(batch, [Edit.set(site, layer, value=value)])

    return put


def has_next(keep: Tensor, batch: Tokens) -> Bool[Tensor, "batch pos"]:
    """True where an activation is counted and a token follows that it helps to predict."""
    following = torch.arange(keep.shape[1]) < torch.tensor(batch.lengths)[:, None] - 1
    return keep & following


def cross_entropy(logits: Tensor, batch: Tokens, keep: Tensor) -> float:
    """The sum over tokens of the cross-entropy of the next one, nats."""
    where = has_next(keep, batch)
    following = batch.ids.roll(-1, 1)
    total = 0.0
    for row in range(len(where)):  # a sequence at a time, as they are in float64
        log_probs = logits[row].cpu()[where[row]].double().log_softmax(-1)
        total -= log_probs.gather(1, following[row][where[row]][:, None]).sum().item()
    return total
