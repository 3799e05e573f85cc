"""Which heads copy the name that they look at? The name movers' test of Wang et al. 2022, section 3.1
(https://arxiv.org/abs/2211.00593): the copy score of each head's OV circuit.

For each name in a prompt: take the residual stream at its position after the first layer; let a head attend
to it alone, so that the head writes ``v @ W_O`` (its OV circuit); put that through the final norm and the
unembedding; and ask whether the name is among the `k` likeliest tokens. The share of names for which it is,
is the copying score. With the sign of what the head writes turned round, it is the negative one: a negative
name mover makes the name it sees *less* likely.

The paper: above 95 % for the three name movers of GPT-2 small, below 20 % for the average head.

When it misleads: it is about what a head would write if it looked there, not about where it looks (see
`interp.attention_by_role`). The stream after the first layer stands for a name that nothing else was yet
written to; that a head in a late layer reads something else there is left out. Biases of the output
projection, which are the same for every name, are left out too.

Where a norm stands behind attention (Gemma 2 and 3, OLMo-2), what the head writes takes its gain, entry by
entry, before it goes through the final norm. Its scale does not matter: the final norm takes out any scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.methods.common.statistics import probability_estimate
from interp.methods.heads.results import CopyingScoresResult
from interp.models.base import Cache, Model
from interp.models.precise import precise_unembed
from interp.progress import report
from interp.provenance import Provenance
from interp.tasks.base import PairDataset, pairs_in_words
from interp.tokens import Tokens

_ROWS = 128  # unembedded at once: logits are wide, and so is the matrix that each time is read whole
_SIGNS = (1, -1)  # of what a head writes: as it is, and turned round


def copying_scores(
    model: Model,
    dataset: PairDataset,
    *,
    roles: Sequence[str] = ("IO", "S1", "S2"),
    k: int = 5,
    batch_size: int = 16,
    seed: int = 0,
) -> CopyingScoresResult:
    """Score every head on the tokens of `roles` in the clean prompts of a dataset. `seed` is the bootstrap's.

    Raises:
        SiteError: the backend does not reach v; or a norm behind attention is no RMSNorm.
        InputError: roles that the dataset does not have, or no sensible `k`.
    """
    roles = (roles,) if isinstance(roles, str) else tuple(roles)
    if not 1 <= k <= model.arch.d_vocab:
        raise InputError(f"k must be at least 1 and at most the {model.arch.d_vocab} tokens; got {k}.")
    if batch_size < 1 or not roles:
        raise InputError("Give at least one role, and a batch_size of at least 1.")
    _check_heads_write_alone(model)
    places = [sum(each, ()) for each in zip(*(dataset.positions(role) for role in roles), strict=True)]
    shares = []  # [sign, layer, head] for each prompt
    for start in range(0, len(dataset), batch_size):
        report("prompts", start, len(dataset))
        rows = slice(start, start + batch_size)
        shares += _shares_copied(model, dataset.clean[rows], places[rows], k)
    report("prompts", len(dataset), len(dataset))
    copied = probability_estimate(torch.stack(shares).numpy(), seed, dataset.clusters)
    return CopyingScoresResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_in_words(model, dataset),
        roles=roles,
        k=k,
        copying=copied[0],
        negative=copied[1],
    )


def _check_heads_write_alone(model: Model) -> None:
    model.check_site("v")
    model.post_norm("attn_out", 0)  # an error where heads have no parts of their own


def _shares_copied(
    model: Model, prompts: Sequence[tuple[int, ...]], places: Sequence[tuple[int, ...]], k: int
) -> list[Float[Tensor, "sign layer head"]]:
    """For each prompt, the share of its names that each head copies: as it writes, and turned round."""
    tokens = model.to_tokens(prompts)
    row = torch.tensor([i for i, where in enumerate(places) for _ in where])  # [name]
    place = torch.tensor([position for where in places for position in where])  # [name]
    names = tokens.ids[row, place].to(model.device)
    cache = _run_on_first_layer(model, tokens)
    copied = []  # [sign, head, name] for each layer
    for layer in range(model.arch.n_layers):
        v = cache["v", layer][row, place]  # [name, kv_head, d_head]
        v = v.repeat_interleave(model.arch.n_heads // model.arch.n_kv_heads, dim=1)
        written = torch.einsum("nhd,hdm->hnm", v, model.W_O(layer))  # [head, name, d_model]
        if (norm := model.post_norm("attn_out", layer)) is not None:
            written = norm(written)  # by itself: the final norm takes out the scale
        signed = torch.cat([sign * written for sign in _SIGNS])  # [sign * head, name, d_model]
        copied.append(_among_top(model, signed, names, k).unflatten(0, (len(_SIGNS), -1)))
    every = torch.stack(copied, dim=1).double().cpu()  # [sign, layer, head, name]
    return [every[..., row == i].mean(-1) for i in range(len(places))]


def _run_on_first_layer(model: Model, tokens: Tokens) -> Cache:
    """v of every layer, if each reads the stream after the first layer: what its own norm and projection make
    of that."""
    first = model.run_with_cache(tokens, [("resid_post", 0)], logits=False)
    stream = first["resid_post", 0]  # [row, pos, d_model]
    reads = [Edit.set("resid_pre", layer, value=stream) for layer in range(model.arch.n_layers)]
    return model.run_with_cache(tokens, ["v"], reads, logits=False)


def _among_top(
    model: Model, written: Float[Tensor, "head name d_model"], names: Int[Tensor, " name"], k: int
) -> Float[Tensor, "head name"]:
    """Whether each name is among the k likeliest tokens after the final norm and the unembedding: 0 or 1.

    Ties count against it: a head that writes nothing copies nothing.
    """
    rows, wanted = written.flatten(0, 1), names.repeat(len(written))  # [head * name, ...]
    ranks = []
    for start in range(0, len(rows), _ROWS):
        logits = precise_unembed(model, rows[start : start + _ROWS])  # [row, d_vocab]
        own = logits.gather(-1, wanted[start : start + _ROWS, None])
        ranks.append((logits >= own).sum(-1))  # itself included
    return (torch.cat(ranks).unflatten(0, written.shape[:2]) <= k).double()
