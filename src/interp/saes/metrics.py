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

The first position of each sequence and padding are not counted and not replaced. At the first, BOS or not,
many models have activations that are far larger than all others, and would be most of the variance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import DegeneratePairError, InputError
from interp.models.base import Cache, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Result
from interp.saes.dictionary import SAE, flat
from interp.tokens import Prompt, Tokens

EXCLUDED = "the first position of each sequence and padding"


@dataclass(frozen=True, eq=False, kw_only=True)
class SAEQualityResult(Result):
    """How good an SAE is on a text. The module says what each number means."""

    kind: ClassVar[str] = "sae_quality"
    text: str  # what it was measured on, in words
    excluded: str
    n_tokens: int
    sae_model: str
    site: str  # the hook name
    activation: str  # standard, topk, batchtopk, jumprelu
    n_features: int
    l0: float
    explained_variance: float
    explained_variance_per_token: float
    ce_clean: float  # nats
    ce_sae: float
    ce_zero: float
    ce_mean: float
    density: Float[np.ndarray, " feature"]
    losses: Float[np.ndarray, "step part"] | None = None  # of the training; None for an SAE that was loaded
    loss_names: tuple[str, ...] = ()

    @property
    def recovered_from_zero(self) -> float:
        return ce_recovered(clean=self.ce_clean, sae=self.ce_sae, ablated=self.ce_zero)

    @property
    def recovered_from_mean(self) -> float:
        return ce_recovered(clean=self.ce_clean, sae=self.ce_sae, ablated=self.ce_mean)

    @property
    def dead(self) -> float:
        return dead_share(self.density)


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


def ce_recovered(*, clean: float, sae: float, ablated: float) -> float:
    """The share of ablation's cost that the SAE saves; `DegeneratePairError` where it costs nothing."""
    if not ablated - clean > 1e-6:
        raise DegeneratePairError(
            f"Ablating this site does not raise the cross-entropy (from {clean:.6f} to {ablated:.6f}), so "
            "there is nothing to recover; choose another site, or more text."
        )
    return (ablated - sae) / (ablated - clean)


def density(features: Float[Tensor, "token feature"]) -> Float[Tensor, " feature"]:
    """The share of tokens at which each feature is above 0."""
    return (features > 0).double().mean(0)


def dead_share(density: Float[np.ndarray, " feature"]) -> float:
    """The share of features that are never above 0."""
    return float((density == 0).mean())


def density_histogram(
    density: Float[np.ndarray, " feature"], *, bins: int = 20
) -> tuple[Float[np.ndarray, " edge"], np.ndarray]:
    """The edges in log10 of the density, from the lowest (-1 or below) to 0, and how many features lie
    between each two, without dead ones."""
    alive = np.log10(density[density > 0])
    counts, edges = np.histogram(alive, bins=bins, range=(float(alive.min(initial=-1.0)), 0.0))
    return edges, counts


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
    address = sae.address
    tokens = [model.to_tokens(text[i : i + batch_size]) for i in range(0, len(text), batch_size)]
    if not tokens or any(min(batch.lengths) < 3 for batch in tokens):
        raise InputError("Each sequence of the text must have three tokens or more; give longer text.")

    def runs() -> Iterator[tuple[Tokens, Cache, Tensor]]:
        for batch in tokens:
            cache = model.run_with_cache(batch, [address])
            yield batch, cache, cache[address]

    total = torch.zeros(sae.d_in, dtype=torch.float64)
    n_tokens = 0
    for batch, _, raw in runs():
        x = flat(address.site, raw).cpu()[counted(batch)].double()
        total += x.sum(0)
        n_tokens += len(x)
    mean = total / n_tokens

    error = variance = per_token = 0.0
    active = torch.zeros(sae.n_features, dtype=torch.float64)
    ce = dict.fromkeys(("clean", "sae", "zero", "mean"), 0.0)
    n_next = 0
    for done, (batch, cache, raw) in enumerate(runs()):
        keep = counted(batch)
        x = flat(address.site, raw)
        features = sae.encode(x.float())
        y = sae.decode(features, x.float())
        errors, variances = _squares(x.cpu()[keep], y.cpu()[keep], mean)
        error += errors.sum().item()
        variance += variances.sum().item()
        per_token += (1 - errors / variances).sum().item()
        active += (features.cpu()[keep] > 0).double().sum(0)

        put = _replacer(model, sae, batch, raw, keep)
        ce["clean"] += _cross_entropy(cache.logits, batch, keep)
        ce["sae"] += _cross_entropy(put(y), batch, keep)
        ce["zero"] += _cross_entropy(put(torch.zeros_like(x)), batch, keep)
        ce["mean"] += _cross_entropy(put(mean.to(x).expand_as(x)), batch, keep)
        n_next += int(_has_next(keep, batch).sum())
        report("batches", done + 1, len(tokens))
    return SAEQualityResult(
        provenance=Provenance.of(model, seed=seed),
        text=described,
        excluded=EXCLUDED,
        n_tokens=n_tokens,
        sae_model=sae.model,
        site=str(address),
        activation=sae.activation.kind,
        n_features=sae.n_features,
        l0=active.sum().item() / n_tokens,
        explained_variance=_explained(error, variance),
        explained_variance_per_token=per_token / n_tokens,
        **{f"ce_{name}": value / n_next for name, value in ce.items()},
        density=(active / n_tokens).numpy(),
        losses=losses,
        loss_names=loss_names,
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


def _has_next(keep: Tensor, batch: Tokens) -> Bool[Tensor, "batch pos"]:
    """True where an activation is counted and a token follows that it helps to predict."""
    following = torch.arange(keep.shape[1]) < torch.tensor(batch.lengths)[:, None] - 1
    return keep & following


def _cross_entropy(logits: Tensor, batch: Tokens, keep: Tensor) -> float:
    """The sum over tokens of the cross-entropy of the next one, nats."""
    where = _has_next(keep, batch)
    said = logits.cpu()[where].double().log_softmax(-1)
    return -said.gather(1, batch.ids.roll(-1, 1)[where][:, None]).sum().item()
