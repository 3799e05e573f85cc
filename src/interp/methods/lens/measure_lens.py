"""How good is a lens? It is measured on text beside the logit lens, layer by layer.

Belrose et al. 2023, https://arxiv.org/abs/2303.08112

KL from the model's own prediction, cross-entropy of the next token, and the *lens bias* of the paper (section
3): ``KL(mean of final predictions || mean of the lens's predictions)``, means over all tokens, in bits. It is
what a lens gets wrong on average, whatever the context: no bias does not make a lens good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.errors import InputError
from interp.methods.lens.lens import Lens, PlainLens, layer_names, stream_layers, streams_of_tokens
from interp.methods.lens.results import LensQualityResult
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import kl_divergence
from interp.tokens import Prompt, Tokens


def measure_lens(
    model: Model,
    lens: Lens,
    text: Sequence[Prompt],
    *,
    described: str = "the given text",
    losses: Float[np.ndarray, "step trained_layer"] | None = None,
    batch_size: int = 8,
    seed: int = 0,
) -> LensQualityResult:
    """Measure the logit lens and `lens` on `text`, which training should not have seen.

    `described` says in words what text it is, `losses` are those of `train_tuned_lens`; both are recorded.
    Raises `InputError` where the lens is for another model, or the text has no two tokens in a row.
    """
    lens.check_fits(model)
    plain = PlainLens()
    sums = _Sums(model, (plain, lens))
    for start in range(0, len(text), batch_size):
        sums.add(model.to_tokens(text[start : start + batch_size]))
        report("sequences", min(start + batch_size, len(text)), len(text))
    if not sums.n_next:
        raise InputError(
            "The text has no two tokens in a row to predict one from the other; give longer text."
        )
    return LensQualityResult(
        provenance=Provenance.of(model, seed=seed),
        text=described,
        n_tokens=sums.n_tokens,
        lenses=(plain.name, lens.name),
        lens_description=lens.description,
        layers=layer_names(sums.layers),
        kl=sums.kl / sums.n_tokens,
        cross_entropy=sums.cross_entropy / sums.n_next,
        bias=lens_bias(sums.final / sums.n_tokens, sums.read - math.log(sums.n_tokens)).numpy(),
        losses=losses,
        top1=sums.top1 / sums.n_tokens,
    )


def lens_bias(
    final: Float[Tensor, " d_vocab"], log_lens: Float[Tensor, "*any d_vocab"]
) -> Float[Tensor, "*any"]:
    """KL(final || lens) in bits of two mean predictions, the lens's as logarithms: its probabilities may be
    smaller than any number, where the logits of an early layer lie 1000 apart."""
    cross = torch.where(final > 0, final * log_lens, 0.0)
    return (torch.xlogy(final, final) - cross).sum(-1) / math.log(2)


class _Sums:
    """What is summed over the tokens of a text, for each lens and layer."""

    def __init__(self, model: Model, lenses: Sequence[Lens]) -> None:
        self.model, self.lenses, self.layers = model, lenses, stream_layers(model)
        shape, d_vocab = (len(lenses), len(self.layers)), model.arch.d_vocab
        self.n_tokens = self.n_next = 0  # all tokens, and those that another one follows
        self.kl: Float[np.ndarray, "lens layer"] = np.zeros(shape)  # nats
        self.cross_entropy: Float[np.ndarray, "lens layer"] = np.zeros(shape)  # nats
        self.top1: Float[np.ndarray, "lens layer"] = np.zeros(shape)  # tokens
        self.final: Float[Tensor, " d_vocab"] = torch.zeros(d_vocab, dtype=torch.float64)  # probabilities
        #: Logarithms of sums of probabilities, which need not be numbers above 0.
        self.read: Float[Tensor, "lens layer d_vocab"] = torch.full(
            (*shape, d_vocab), -math.inf, dtype=torch.float64
        )

    def add(self, tokens: Tokens) -> None:
        """Read one batch with every lens."""
        streams, logits = streams_of_tokens(self.model, tokens)
        final = logits.cpu().double()
        following, has_next = _following(tokens)
        self.final += final.softmax(-1).sum(0)
        self.n_tokens += len(has_next)
        self.n_next += int(has_next.sum())
        for i, lens in enumerate(self.lenses):
            for j, (layer, stream) in enumerate(zip(self.layers, streams, strict=True)):
                read = lens.logits(self.model, stream, layer).cpu().double()  # [token, d_vocab]
                log_probs = read.log_softmax(-1)
                of_next = log_probs[has_next].gather(1, following[has_next, None])
                self.kl[i, j] += kl_divergence(final, read).sum().item()
                self.cross_entropy[i, j] -= of_next.sum().item()
                self.top1[i, j] += int((read.argmax(-1) == final.argmax(-1)).sum())
                self.read[i, j] = torch.logaddexp(self.read[i, j], log_probs.logsumexp(0))


def _following(tokens: Tokens) -> tuple[Int[Tensor, " token"], Bool[Tensor, " token"]]:
    """For each token of a batch, padding excluded: the id that follows, and whether there is one."""
    following = tokens.ids.roll(-1, 1)  # [batch, pos]
    has_next = torch.arange(tokens.ids.shape[1])[None] < torch.tensor(tokens.lengths)[:, None] - 1
    return following[tokens.mask], has_next[tokens.mask]
