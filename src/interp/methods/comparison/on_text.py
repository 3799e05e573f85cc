"""Two models on one text: their streams, their losses, and how far their predictions are apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.methods.common.intervals import mean_interval, ratio_interval, within
from interp.methods.comparison.alikeness import Streams, alikeness
from interp.methods.comparison.results import OnText
from interp.methods.lens.lens import streams_of_tokens
from interp.methods.probing.readings import untrained_like
from interp.models.base import Model
from interp.progress import report
from interp.readout import kl_divergence
from interp.tokens import Prompt, Tokens


def two_on_text(
    models: tuple[Model, Model],
    text: Sequence[Prompt],
    *,
    untrained: bool,
    described: str,
    seed: int,
) -> OnText:
    """All that is measured on a text. One sequence at a time is run in both models; a third, untrained one of
    their shape is made when they are done, and let go."""
    sequences = [models[0].to_tokens(one).repeat(1) for one in text]
    if short := [s for s in sequences if s.lengths[0] < 3]:
        raise InputError(f"A sequence of the text has {short[0].lengths[0]} tokens; give three or more.")
    streams: tuple[list[Tensor], list[Tensor]] = ([], [])
    losses, divergences, counts = [], [], []
    for done, tokens in enumerate(sequences):
        report("sequences", done, len(sequences))
        ids = tokens.ids[0]
        logits = []
        for model, own in zip(models, streams, strict=True):
            stream, said = streams_of_tokens(model, tokens)
            own.append(_kept(stream))
            logits.append(said.cpu()[:-1])  # what comes after the last token is not known
        losses.append([_loss(said, ids[1:]) for said in logits])
        divergences.append(float(kl_divergence(logits[0].double(), logits[1].double()).sum()))
        counts.append(len(ids) - 1)
    report("sequences", len(sequences), len(sequences))
    n = np.array(counts, dtype=float)
    summed = np.array(losses)  # [sequence, model]
    bare = _streams(untrained_like(models[0], seed), sequences) if untrained else None
    return OnText(
        described=described,
        n_sequences=len(sequences),
        n_tokens=sum(stream.shape[1] for stream in streams[0]),
        alike=alikeness(*streams, seed),
        untrained=None
        if bare is None
        else (alikeness(streams[0], bare, seed), alikeness(streams[1], bare, seed)),
        losses=within(ratio_interval(summed, n, seed), 0),
        loss_change=mean_interval((summed[:, 1] - summed[:, 0]) / n, seed),
        kl=within(ratio_interval(np.array(divergences), n, seed), 0),
    )


def _streams(model: Model, sequences: Sequence[Tokens]) -> Streams:
    return [_kept(streams_of_tokens(model, tokens)[0]) for tokens in sequences]


def _kept(streams: Float[Tensor, "layer token d_model"]) -> Float[Tensor, "layer pos d_model"]:
    """Without the first position."""
    return streams[:, 1:].float().cpu()


def _loss(logits: Float[Tensor, "pos d_vocab"], ids: Tensor) -> float:
    """The sum over tokens, in nats."""
    return float(torch.nn.functional.cross_entropy(logits.double(), ids.cpu(), reduction="sum"))
