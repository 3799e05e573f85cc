"""Training a tuned lens on text.

Belrose et al. 2023, https://arxiv.org/abs/2303.08112

1. The model is frozen; each layer's translator is trained to minimise ``KL(final || lens)`` over the tokens
   of the text. They share nothing, so they are trained side by side.
2. Adam works in standardised coordinates: each coordinate of the stream less its median, over its spread,
   since a few coordinates of a stream may be a hundred times the others. At the end they are folded into
   plain weights. (The paper takes gradient descent with momentum; the objective is the same.)

`interp.methods.lens.measure_lens` says how good the lens is on text that training did not see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, NonFiniteError
from interp.methods.lens.lens import streams_of_tokens
from interp.methods.lens.tuned_lens import TunedLens
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.progress import report
from interp.tokens import Prompt

_STANDARDISED_ON = 8  # sequences whose medians and spreads fix the coordinates of the training


@outside_inference_mode
def train_tuned_lens(
    model: Model,
    text: Sequence[Prompt],
    *,
    steps: int = 200,
    batch_size: int = 8,
    learning_rate: float = 2.0,
    seed: int = 0,
) -> tuple[TunedLens, Float[np.ndarray, "step trained_layer"]]:
    """Train a translator for each layer on `text`, a list of sequences (text or token ids).

    Deterministic by `seed`, which shuffles the sequences; they are gone through as often as the steps need.
    `learning_rate` is how far one step can move a coordinate of the stream, in units of its spread; it rises
    over the first tenth of the steps, and then falls to nothing.

    Returns:
        the lens, and the loss KL(final || lens) in nats of each step and of each layer but the last.

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
    translators = _Translators.identity(model, text[:_STANDARDISED_ON])
    optimizer = torch.optim.Adam(translators.parameters, lr=learning_rate / model.arch.d_model)
    schedule = _rise_and_fall(optimizer, steps)
    losses = np.zeros((steps, model.arch.n_layers))
    for step, batch in enumerate(_batches(text, batch_size, steps, seed)):
        optimizer.zero_grad()
        losses[step] = _gradients_of_batch(model, batch, translators)
        if not np.isfinite(losses[step]).all():
            raise NonFiniteError(f"The training ran away at step {step}; lower the learning rate.")
        optimizer.step()
        schedule.step()
        report("steps", step + 1, steps)
    weight, bias = translators.folded()
    return replace(TunedLens.identity(model), weight=weight, bias=bias), losses


@dataclass(frozen=True, eq=False, kw_only=True)
class _Translators:
    """The translators of a lens in training, in standardised coordinates of each layer's stream."""

    middle: Float[Tensor, "layer d_model"]  # the median of each coordinate
    spread: Float[Tensor, "layer d_model"]  # and its spread around it
    size: Float[Tensor, " layer"]  # the usual spread of a coordinate
    matrix: Float[Tensor, "layer d_model d_model"]
    shift: Float[Tensor, "layer d_model"]

    @classmethod
    def identity(cls, model: Model, text: Sequence[Prompt]) -> _Translators:
        """Translators that change nothing yet; medians are taken, since the first position of many models is
        far out."""
        n, d = model.arch.n_layers, model.arch.d_model
        streams = streams_of_tokens(model, text)[0][:-1]  # [layer, token, d_model]
        middle = streams.median(1).values
        spread = (streams - middle[:, None]).abs().median(1).values
        size = spread.mean(1)
        return cls(
            middle=middle,
            spread=torch.maximum(spread, 0.1 * size[:, None]).clamp(min=1e-6),
            size=size,
            matrix=torch.zeros(n, d, d, device=model.device, requires_grad=True),
            shift=torch.zeros(n, d, device=model.device, requires_grad=True),
        )

    @property
    def parameters(self) -> list[Tensor]:
        return [self.matrix, self.shift]

    def translate(self, stream: Float[Tensor, "token d_model"], row: int) -> Float[Tensor, "token d_model"]:
        standard = (stream - self.middle[row]) / self.spread[row]
        return stream + self.size[row] * (standard @ self.matrix[row].T + self.shift[row])

    @torch.no_grad()
    def folded(self) -> tuple[Float[Tensor, "layer d_model d_model"], Float[Tensor, "layer d_model"]]:
        """Weight and bias of the same translators in plain coordinates, on the CPU."""
        weight = self.size[:, None, None] * self.matrix / self.spread[:, None]
        bias = self.size[:, None] * self.shift - torch.einsum("loi,li->lo", weight, self.middle)
        return weight.cpu(), bias.cpu()


def _gradients_of_batch(model: Model, batch: list[Prompt], translators: _Translators) -> list[float]:
    """The loss KL(final || lens) of each layer; its gradients are added to the parameters'."""
    streams, logits = streams_of_tokens(model, batch)
    final = logits.softmax(-1)
    negative_entropy = (final * logits.log_softmax(-1)).sum(-1)
    losses = []
    for row in range(model.arch.n_layers):  # one after the other: the logits of all may not fit at once
        translated = translators.translate(streams[row], row)
        read = model.unembed(translated, differentiable=True).float().log_softmax(-1)
        loss = (negative_entropy - (final * read).sum(-1)).mean()
        loss.backward(inputs=translators.parameters)
        losses.append(loss.item())
    return losses


def _rise_and_fall(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate rises over a tenth of the steps, and then falls to nothing."""
    rises = max(1, steps // 10)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rises, 1.0) * (1 - step / steps)
    )


def _batches(text: Sequence[Prompt], size: int, steps: int, seed: int) -> Iterator[list[Prompt]]:
    """`steps` batches, every sequence once in a random order before any comes again."""
    rng = np.random.default_rng(seed)
    order: list[int] = []
    for _ in range(steps):
        if len(order) < size:
            order = rng.permutation(len(text)).tolist()
        batch, order = order[:size], order[size:]
        yield [text[i] for i in batch]
