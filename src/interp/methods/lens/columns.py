"""What a lens reads at one position of a prompt, layer by layer: a column of its grid.

A vocabulary of 262,144 tokens makes a megabyte of each cell. So a column is gone through once, while it is
in the processor's cache: the logits stay in the precision that the model gave them in, only logarithms and
what is summed to them are in float64, and no probabilities are kept but those of the top tokens. With

    m = max(logits),   s = sum exp(logits - m),   log_z = m + log s,

a token's probability is ``exp(logit - log_z)``, and the entropy is
``log s - sum exp(logits - m) (logits - m) / s``.

Another answer then takes nothing but a comparison with its logit, where the column is still there:
`LensReadings` keeps columns within a bound of bytes. A column depends on the tokens up to its position alone,
and is known by them: a prompt that begins as an earlier one did is read where it goes on differently.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.edits import Edit
from interp.methods.lens.lens import STREAMS, Lens, residual_streams, stream_layers
from interp.models.base import Cache, Model
from interp.models.growing import GrowingRun, can_grow, grown
from interp.models.precise import HALF, precise_unembed
from interp.models.rotary import scales
from interp.progress import report
from interp.tokens import Tokens

TOP = 10  # tokens kept of each cell, at least
AT_ONCE = 2**25  # logits that are made by one product
LEAST = -87.0  # log of about the smallest normal number of float32
BLOCK = 512  # logits of which the highest is looked for first


@dataclass(frozen=True, eq=False)
class Column:
    """The logits that a lens reads at one position, and what they say whatever the answer is."""

    logits: Float[Tensor, "layer d_vocab"]  # on the CPU
    log_z: Float[Tensor, " layer"]  # log of the sum of exp(logits), float64
    entropy: Float[Tensor, " layer"]  # nats
    kl_to_final: Float[Tensor, " layer"]  # KL(final || layer), nats
    top_ids: Int[Tensor, "layer top"]
    top_probs: Float[Tensor, "layer top"]
    final_id: int  # what the model itself says here
    final_prob: float

    @classmethod
    def of(
        cls, logits: Float[Tensor, "layer d_vocab"], final: Float[Tensor, " d_vocab"], *, k: int
    ) -> Column:
        """The column of these logits, beside the model's own, with the `k` likeliest tokens of each layer."""
        top, ids = top_k(logits, k)
        below, weights, log_s = _exponentials(logits, top[:, :1])
        log_z = top[:, 0].double() + log_s
        s = weights.sum(-1).double()
        entropy = log_s - weights.mul_(below).sum(-1).double() / s
        own, own_weights, own_log_s = _exponentials(final[None], final.amax().reshape(1, 1))
        apart = torch.sub(own, below, out=weights).mul_(own_weights)  # nothing where both are the same
        kl = apart.sum(-1).double() / own_log_s.exp() - own_log_s + log_s
        return cls(
            logits=logits,
            log_z=log_z,
            entropy=entropy,
            kl_to_final=kl.clamp(min=0),
            top_ids=ids,
            top_probs=(top.double() - log_z[:, None]).exp(),
            final_id=int(final.argmax()),
            final_prob=float((-own_log_s).exp()),
        )

    def probs(self, ids: Sequence[int]) -> Float[Tensor, "layer token"]:
        """The probabilities of some tokens, in float64."""
        return (self.logits[:, list(ids)].double() - self.log_z[:, None]).exp()

    def rank(self, ids: Sequence[int]) -> tuple[Int[Tensor, " layer"], Int[Tensor, " layer"]]:
        """The rank of the likeliest of some tokens, ties counting against it, and how many other tokens have
        its logit."""
        own = self.logits[:, list(dict.fromkeys(ids))].numpy()  # [layer, token]
        ranks, ties = [], []
        for logits, of_ids in zip(self.logits.numpy(), own, strict=True):  # a layer stays in the cache
            best = of_ids.max()
            ranks.append(1 + np.count_nonzero(logits >= best) - np.count_nonzero(of_ids >= best))
            ties.append(np.count_nonzero(logits == best) - np.count_nonzero(of_ids == best))
        return torch.tensor(ranks), torch.tensor(ties)


def _exponentials(
    logits: Float[Tensor, "row d_vocab"], most: Float[Tensor, "row 1"]
) -> tuple[Tensor, Tensor, Float[Tensor, " row"]]:
    """``x - m``, ``exp(x - m)``, and the logarithm of the sum of the latter, in float64.

    Weights below `LEAST` are set to it: numbers below the smallest normal one take a hundred times as long.
    """
    below = logits - most
    weights = below.clamp(min=LEAST).exp_()
    return below, weights, weights.sum(-1).double().log()


def top_k(
    logits: Float[Tensor, "row d_vocab"], k: int
) -> tuple[Float[Tensor, "row k"], Int[Tensor, "row k"]]:
    """The `k` highest of each row, and where they are: those of the `k` blocks whose highest are highest."""
    n_blocks, rest = divmod(logits.shape[-1], BLOCK)
    if n_blocks <= 2 * k:
        return logits.topk(k)
    blocks = logits[:, : n_blocks * BLOCK].unflatten(-1, (n_blocks, BLOCK))
    highest = blocks.amax(-1).topk(k).indices  # [row, k]
    within = blocks.gather(1, highest[..., None].expand(-1, -1, BLOCK)).flatten(1)
    starts = highest[..., None] * BLOCK + torch.arange(BLOCK)  # [row, k, BLOCK]
    places = starts.flatten(1)
    if rest:
        tail = torch.arange(n_blocks * BLOCK, logits.shape[-1])
        within = torch.cat([within, logits[:, tail[0] :]], -1)
        places = torch.cat([places, tail.expand(len(logits), -1)], -1)
    found = within.topk(k)
    return found.values, places.gather(-1, found.indices)


# ---- what is kept ----


class LensReadings:
    """Residual streams and columns of a model that does not change meanwhile, for use by later questions; and
    the keys and values of the last prompt, so that one that begins as it did is run from there on.

    The least recently used are forgotten while the columns take more than `column_bytes`, and the streams
    more than `stream_bytes`. Not to be used by several threads at once.
    """

    def __init__(self, column_bytes: float = 450e6, stream_bytes: float = 150e6) -> None:
        self.columns: Bounded = Bounded(column_bytes)
        self.streams: Bounded = Bounded(stream_bytes)
        self.last: GrowingRun | None = None

    def has_run(self, site: str, ids: Sequence[int]) -> bool:
        """Whether the streams of a prompt are here."""
        return (site, tuple(ids)) in self.streams


class Bounded:
    """Values by key, each with its bytes; the least recently used are forgotten while all exceed a bound."""

    def __init__(self, most: float) -> None:
        self.most, self.bytes = most, 0.0
        self._held: OrderedDict[Hashable, tuple[Any, float]] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held

    def get(self, key: Hashable) -> Any:
        """The value of a key, now the last used; None where there is none."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def put(self, key: Hashable, value: Any, n_bytes: float) -> None:
        """Keep a value, if it is within the bound by itself."""
        if key in self._held or n_bytes > self.most:
            return
        self._held[key] = value, n_bytes
        self.bytes += n_bytes
        while self.bytes > self.most:
            self.bytes -= self._held.popitem(last=False)[1][1]


# ---- reading ----


def read_columns(
    model: Model,
    ids: Sequence[int],
    positions: Sequence[int],
    *,
    lens: Lens,
    site: str = "resid",
    k: int = TOP,
    kept: LensReadings | None = None,
    edits: Sequence[Edit] = (),
) -> Iterator[Column]:
    """The columns at some positions of a prompt, in their order; what was `kept` is not read again. Of a run
    with `edits`, what lies before the first of them is what it is without them; the rest is not kept.

    `lens` and `site` as in `interp.logit_lens`, which checks them; `k` as in `Column.of`.
    """
    kept = kept or LensReadings(0)
    k = min(max(k, TOP), model.arch.d_vocab)
    scale = scales(model.hf_model)(len(ids))  # of rotary positions, which may depend on the whole prompt
    first = first_edited(edits, len(ids))
    keys = {
        position: (lens, site, k, scale, tuple(ids[: position + 1])) if position < first else None
        for position in positions
    }
    at_once = max(1, AT_ONCE // (len(stream_layers(model)) * model.arch.d_vocab))
    streams: Tensor | None = None
    piece: dict[int, tuple[Tensor, Tensor]] = {}
    for i, position in enumerate(positions):
        report("positions", i, len(positions))
        column = kept.columns.get(keys[position])
        if column is None:
            if position not in piece:
                missing = [p for p in dict.fromkeys(positions[i:]) if keys[p] not in kept.columns][:at_once]
                if streams is None:
                    streams = streams_of(model, ids, kept, site=site, edits=edits)
                piece = dict(zip(missing, _unembedded(model, streams[:, missing], lens, site), strict=True))
            column = _keep(kept, keys[position], piece.pop(position), k)
        yield column
    report("positions", len(positions), len(positions))


def _unembedded(
    model: Model, streams: Float[Tensor, "row pos d_model"], lens: Lens, site: str
) -> list[tuple[Float[Tensor, "layer d_vocab"], Float[Tensor, " d_vocab"]]]:
    """What is read of `streams_of` at some positions, and the model's own logits there."""
    layers = stream_layers(model) if site == "resid" else range(model.arch.n_layers)
    read = lens.logits_of_layers(model, streams[: len(layers)], layers).cpu()  # [layer, pos, d_vocab]
    final = read[-1] if site == "resid" else precise_unembed(model, streams[-1]).cpu()
    return list(zip(read.unbind(1), final, strict=True))


def _keep(
    kept: LensReadings,
    key: Hashable | None,
    logits: tuple[Float[Tensor, "layer d_vocab"], Float[Tensor, " d_vocab"]],
    k: int,
) -> Column:
    """The column of some logits and the model's own, in memory of its own where it is kept."""
    read, final = logits
    if key is None:  # of an edited run
        return Column.of(read, final, k=k)
    if read.nbytes <= kept.columns.most:
        read = read.clone(memory_format=torch.contiguous_format)
    column = Column.of(read, final, k=k)
    kept.columns.put(key, column, read.nbytes)
    return column


def streams_of(
    model: Model,
    ids: Sequence[int],
    kept: LensReadings,
    *,
    site: str = "resid",
    edits: Sequence[Edit] = (),
) -> Float[Tensor, "row pos d_model"]:
    """What a site of a prompt's run is, a row for each layer. Behind those of another site than ``resid``
    stands the last stream, which the model reads itself."""
    key = (site, tuple(ids))
    streams = None if edits else kept.streams.get(key)
    if streams is None:
        if site == "resid":
            streams = residual_streams(_run(model, list(ids), kept, edits))[:, 0]
        else:
            last = ("resid_post", model.arch.n_layers - 1)
            cache = model.run_with_cache(list(ids), [site, last], edits, logits=False)
            streams = torch.cat([cache.stack(site)[:, 0], cache[last]])
        if not edits:
            kept.streams.put(key, streams, streams.nbytes)
    return streams


def _run(model: Model, ids: list[int], kept: LensReadings, edits: Sequence[Edit]) -> Cache:
    """A run that keeps `STREAMS`; of a long prompt that begins as the last one, from there on."""
    if edits or not kept.columns.most or not can_grow(model, ids):
        return model.run_with_cache(ids, STREAMS, edits, logits=False)
    run = grown(model, ids, STREAMS, kept.last)
    kept.last = run if run.nbytes <= kept.streams.most else None
    return Cache(run.values, logits=None, tokens=Tokens.pad([ids]))


def first_edited(edits: Sequence[Edit], n: int) -> int:
    """The first of a prompt's `n` positions that edits change; `n` where there are none."""
    return min((p % n for edit in edits for p in edit.address.positions or (0,)), default=n)


def rounding(model: Model, ids: Sequence[int], positions: Sequence[int]) -> tuple[float, int] | None:
    """Below float32, by how much the model's own logits at some positions are rounded, and how many tokens
    share the highest one at most; None of a model that is not below it."""
    if model.dtype not in HALF:
        return None
    last = ("resid_post", model.arch.n_layers - 1)
    cache = model.run_with_cache(list(ids), [last])
    own = cache.logits[0, list(positions)].double().cpu()
    precise = precise_unembed(model, cache[last][0, list(positions)]).double().cpu()
    tied = int((own == own.amax(-1, keepdim=True)).sum(-1).max())
    return float((own - precise).abs().max()), tied
