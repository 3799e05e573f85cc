"""Training a tuned lens on text, and measuring how well the plain and the tuned lens do.

Belrose et al. 2023, https://arxiv.org/abs/2303.08112

1. The model is frozen; each layer's translator is trained to minimise ``KL(final || lens)`` over the tokens
   of the text. They share nothing, so they are trained side by side.
2. Adam works in standardised coordinates: each coordinate of the stream less its median, over its spread,
   since a few coordinates of a stream may be a hundred times the others. At the end they are folded into
   plain weights. (The paper takes gradient descent with momentum; the objective is the same.)
3. Both lenses are measured on text that training did not see: KL and cross-entropy, and the *lens bias* of
   the paper (section 3): ``KL(mean of final predictions || mean of the lens's predictions)``, means over all
   tokens, in bits.
   It is what a lens gets wrong on average, whatever the context: no bias does not make a lens good.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, NonFiniteError
from interp.methods.lens.tuned_lens import TunedLens
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import kl_divergence
from interp.results import Result
from interp.tokens import Prompt, Tokens

_STANDARDISED_ON = 8  # sequences whose medians and spreads fix the coordinates of the training


@dataclass(frozen=True, eq=False, kw_only=True)
class LensQualityResult(Result):
    """How well the plain and a tuned lens say, at each layer, what the model says. Means over the tokens of a
    text.

    Rows are the plain and the tuned lens; columns the embedding and each layer. At the last, both are the
    model.
    """

    kind: ClassVar[str] = "lens_quality"
    text: str  # what it was measured on, in words
    n_tokens: int
    lens_model: str  # the model that the lens was trained for
    layers: tuple[str, ...]  # "embed", "0", "1", ...
    kl: Float[np.ndarray, "lens layer"]  # KL(final || lens), nats
    cross_entropy: Float[np.ndarray, "lens layer"]  # of the next token, nats
    bias: Float[np.ndarray, "lens layer"]  # lens bias, bits
    losses: Float[np.ndarray, "step layer"] | None  # KL in training, nats; None for a lens that was loaded

    @property
    def perplexity(self) -> Float[np.ndarray, "lens layer"]:
        """Of the next token; infinite where the cross-entropy is beyond the range of a number."""
        with np.errstate(over="ignore"):
            return np.exp(self.cross_entropy)


def train_tuned_lens(
    model: Model,
    text: Sequence[Prompt],
    *,
    steps: int = 200,
    batch_size: int = 8,
    learning_rate: float = 2.0,
    seed: int = 0,
) -> tuple[TunedLens, Float[np.ndarray, "step layer"]]:
    """Train a translator for each layer on `text`, a list of sequences (text or token ids).

    Deterministic by `seed`, which shuffles the sequences; they are gone through as often as the steps need.
    `learning_rate` is how far one step can move a coordinate of the stream, in units of its spread; it rises
    over the first tenth of the steps, and then falls to nothing.

    Returns:
        the lens, and the loss KL(final || lens) in nats of each step and layer.

    Raises:
        InputError: steps, batch size or learning rate out of range; fewer sequences than a batch.
        NonFiniteError: the training ran away; lower the learning rate.
    """
    if steps < 1 or batch_size < 1 or not learning_rate > 0:
        raise InputError("steps and batch_size must be at least 1, and the learning rate above 0.")
    if len(text) < batch_size:
        raise InputError(
            f"There are {len(text)} sequences, fewer than a batch of {batch_size}; give more text."
        )
    n, d = model.arch.n_layers, model.arch.d_model
    middle, spread, size = _coordinates(model, text[:_STANDARDISED_ON])
    matrix = torch.zeros(n, d, d, device=model.device, requires_grad=True)  # in standardised coordinates
    shift = torch.zeros(n, d, device=model.device, requires_grad=True)
    optimizer = torch.optim.Adam([matrix, shift], lr=learning_rate / d)
    rises = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rises, 1.0) * (1 - step / steps)
    )

    losses = np.zeros((steps, n))
    for step, batch in enumerate(_batches(text, batch_size, steps, seed)):
        streams, logits = _streams(model, batch)  # [layer + 1, token, d_model], [token, d_vocab]
        final = logits.softmax(-1)
        negative_entropy = (final * logits.log_softmax(-1)).sum(-1)
        optimizer.zero_grad()
        for layer in range(n):  # one after the other: the logits of all layers may not fit at once
            own = streams[layer]
            standard = (own - middle[layer]) / spread[layer]
            moved = own + size[layer] * (standard @ matrix[layer].T + shift[layer])
            read = model.unembed(moved, differentiable=True).float().log_softmax(-1)
            loss = (negative_entropy - (final * read).sum(-1)).mean()  # KL(final || lens)
            loss.backward(inputs=[matrix, shift])
            losses[step, layer] = loss.item()
        if not np.isfinite(losses[step]).all():
            raise NonFiniteError(f"The training ran away at step {step}; lower the learning rate.")
        optimizer.step()
        schedule.step()
        report("steps", step + 1, steps)
    with torch.no_grad():
        weight = size[:, None, None] * matrix / spread[:, None]
        bias = size[:, None] * shift - torch.einsum("loi,li->lo", weight, middle)
    return replace(TunedLens.identity(model), weight=weight.cpu(), bias=bias.cpu()), losses


def measure_lens(
    model: Model,
    lens: TunedLens,
    text: Sequence[Prompt],
    *,
    described: str = "the given text",
    losses: Float[np.ndarray, "step layer"] | None = None,
    batch_size: int = 8,
    seed: int = 0,
) -> LensQualityResult:
    """Measure the plain lens and `lens` on `text`, which training should not have seen.

    `described` says in words what text it is, `losses` are those of `train_tuned_lens`; both are recorded.
    Raises `InputError` where the lens is for another model, or the text has no two tokens in a row.
    """
    lens.check_fits(model)
    n = model.arch.n_layers + 1
    kl, cross_entropy = np.zeros((2, n)), np.zeros((2, n))
    mean_final = torch.zeros(model.arch.d_vocab, dtype=torch.float64)
    mean_lens = torch.zeros(2, n, model.arch.d_vocab, dtype=torch.float64)
    n_tokens = n_next = 0
    for start in range(0, len(text), batch_size):
        tokens = model.to_tokens(text[start : start + batch_size])
        streams, logits = _streams(model, tokens)
        final = logits.cpu().double()
        following, has_next = _following(tokens)
        mean_final += final.softmax(-1).sum(0)
        for row, states in enumerate((streams, lens.translate(streams))):
            for layer in range(n):
                read = model.unembed(states[layer]).cpu().double()  # [token, d_vocab]
                log_probs = read.log_softmax(-1)
                said = log_probs[has_next].gather(1, following[has_next, None])
                kl[row, layer] += kl_divergence(final, read).sum().item()
                cross_entropy[row, layer] -= said.sum().item()
                mean_lens[row, layer] += log_probs.exp().sum(0)
        n_tokens += len(has_next)
        n_next += int(has_next.sum())
        report("sequences", min(start + batch_size, len(text)), len(text))
    if not n_next:
        raise InputError(
            "The text has no two tokens in a row to predict one from the other; give longer text."
        )
    return LensQualityResult(
        provenance=Provenance.of(model, seed=seed),
        text=described,
        n_tokens=n_tokens,
        lens_model=lens.model,
        layers=("embed", *map(str, range(model.arch.n_layers))),
        kl=kl / n_tokens,
        cross_entropy=cross_entropy / n_next,
        bias=lens_bias(mean_final / n_tokens, mean_lens / n_tokens).numpy(),
        losses=losses,
    )


def lens_bias(final: Float[Tensor, " d_vocab"], lens: Float[Tensor, "*any d_vocab"]) -> Float[Tensor, "*any"]:
    """KL(final || lens) in bits of two mean predictions, given as probabilities."""
    return (torch.xlogy(final, final) - torch.xlogy(final, lens)).sum(-1) / math.log(2)


def _batches(text: Sequence[Prompt], size: int, steps: int, seed: int) -> Iterator[list[Prompt]]:
    """`steps` batches, every sequence once in a random order before any comes again."""
    rng = np.random.default_rng(seed)
    order: list[int] = []
    for _ in range(steps):
        if len(order) < size:
            order = rng.permutation(len(text)).tolist()
        batch, order = order[:size], order[size:]
        yield [text[i] for i in batch]


def _streams(model: Model, text: Tokens | Sequence[Prompt]) -> tuple[Tensor, Tensor]:
    """The embedding and each layer's residual stream, [layer + 1, token, d_model], and the final logits
    [token, d_vocab], of all tokens of a batch, padding excluded."""
    tokens = model.to_tokens(text)
    cache = model.run_with_cache(tokens, [("resid_pre", 0), "resid_post"])
    states = torch.cat([cache["resid_pre", 0][None], cache.stack("resid_post")])
    mask = tokens.mask.to(states.device)
    return states[:, mask].float(), cache.logits[mask].float()


def _following(tokens: Tokens) -> tuple[Tensor, Tensor]:
    """For each token of a batch, padding excluded: the id that follows, and whether there is one."""
    following = tokens.ids.roll(-1, 1)  # [batch, pos]
    has_next = torch.arange(tokens.ids.shape[1])[None] < torch.tensor(tokens.lengths)[:, None] - 1
    return following[tokens.mask], has_next[tokens.mask]


def _coordinates(model: Model, text: Sequence[Prompt]) -> tuple[Tensor, Tensor, Tensor]:
    """Of each layer's stream: the median and the spread of each coordinate, [layer, d_model], and its usual
    size, [layer]. Medians, since the first position of many models is far out."""
    streams = _streams(model, text)[0][:-1]  # [layer, token, d_model]
    middle = streams.median(1).values
    spread = (streams - middle[:, None]).abs().median(1).values
    size = spread.mean(1)
    return middle, torch.maximum(spread, 0.1 * size[:, None]).clamp(min=1e-6), size
