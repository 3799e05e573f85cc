"""How near each of several lenses comes to the model's own prediction, on the tokens of a text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.common.intervals import mean_interval, ratio_interval, within
from interp.methods.lens.comparison_results import LensOnText
from interp.methods.lens.lens import Lens, stream_layers, streams_of_tokens
from interp.methods.lens.measure_lens import lens_bias
from interp.models.base import Model
from interp.progress import report
from interp.tokens import Prompt

_OF_TOKEN = ("kl", "top1", "log_rank")


def lenses_on_text(
    model: Model, lenses: Mapping[str, Lens], text: Sequence[Prompt], *, skip_first: int = 0, seed: int
) -> tuple[dict[str, LensOnText], int]:
    """What each lens does on each layer, and how many tokens were read, the first few of each sequence left
    out. Intervals are over sequences."""
    layers, d_vocab = stream_layers(model), model.arch.d_vocab
    sums = {name: np.zeros((len(lenses), len(text), len(layers))) for name in _OF_TOKEN}
    n_tokens = np.zeros(len(text))
    final_mean = torch.zeros(d_vocab, dtype=torch.float64)
    read_sums = torch.full((len(lenses), len(layers), d_vocab), -math.inf, dtype=torch.float64)  # logarithms
    for number, sequence in enumerate(text):
        report("sequences", number, len(text))
        streams, logits = streams_of_tokens(model, [sequence])
        streams, logits = streams[:, skip_first:], logits[skip_first:]
        final = logits.cpu().double().log_softmax(-1)
        n_tokens[number] = len(final)
        final_mean += final.exp().sum(0)
        for i, lens in enumerate(lenses.values()):
            for j, layer in enumerate(layers):
                read = lens.logits(model, streams[j], layer).cpu().double().log_softmax(-1)
                for name, values in _of_tokens(final, read).items():
                    sums[name][i, number, j] = float(values.sum())
                read_sums[i, j] = torch.logaddexp(read_sums[i, j], read.logsumexp(0))
    report("sequences", len(text), len(text))
    total = n_tokens.sum()
    bias = lens_bias(final_mean / total, read_sums - math.log(total)).numpy()
    per_sequence = sums["kl"][..., :-1].mean(-1) / n_tokens  # [lens, sequence]
    found = {}
    for i, name in enumerate(lenses):
        of_token = {key: within(ratio_interval(sums[key][i], n_tokens, seed), 0) for key in _OF_TOKEN}
        of_token["top1"] = within(of_token["top1"], most=1)
        gain = mean_interval(per_sequence[0] - per_sequence[i], seed)
        found[name] = LensOnText(**of_token, bias=bias[i], gain=gain)
    return found, int(total)


def _of_tokens(
    final: Float[Tensor, "token d_vocab"], read: Float[Tensor, "token d_vocab"]
) -> dict[str, Float[Tensor, " token"]]:
    """What is measured of each token, of log-probabilities; ties count against the lens, as in
    `interp.logit_lens`."""
    said = final.argmax(-1, keepdim=True)  # [token, 1]
    rank = (read >= read.gather(-1, said)).sum(-1).double()
    kl = torch.sum(final.exp() * (final - read), -1).clamp(min=0)  # `interp.readout.kl_divergence`
    return {"kl": kl, "top1": (rank == 1).double(), "log_rank": rank.log()}
