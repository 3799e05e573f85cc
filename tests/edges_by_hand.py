"""The effect of every edge, one at a time, in the plainest way: a slow reference for methods on edges.

An edge's sender adds something to the residual stream. The receiver is computed once more with that replaced
by what the sender adds in the donor run, and its value, alone, is set in the base run. Nothing here relies on
norms being linear, or on one architecture; parallel blocks are beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from interp.edits import Edit
from interp.models.base import Model
from interp.readout import Readout
from interp.sites import Address

Edge = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Move:
    """What an edge does: the base run's activation at an address, and what it becomes. The logits, as a
    receiver, are the last residual stream, which nobody else reads."""

    edge: Edge
    address: Address
    base: Tensor
    moved: Tensor


def moves(model: Model, base: tuple[int, ...], donor: tuple[int, ...]) -> Iterator[Move]:
    """Every edge of a model, layer by layer of its receivers."""
    last = model.arch.n_layers - 1
    base_writes, donor_writes = writes(model, base), writes(model, donor)
    shifts = {sender: donor_writes[sender] - written for sender, written in base_writes.items()}
    here = model.run_with_cache(base, ["q", "k", "v", "mlp_out", "resid_post"])

    def moved(site: str, layer: int, read: Sequence[str]) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Activations with the stream at `site` moved by every sender before it, a row each."""
        senders = [sender for sender in shifts if _before(sender, site, layer)]
        edits = [Edit.add(site, layer, rows=(n,), value=shifts[sender]) for n, sender in enumerate(senders)]
        cache = model.run_with_cache(model.to_tokens(base).repeat(len(senders)), read, edits)
        for n, sender in enumerate(senders):
            yield sender, {one: cache[one, layer][[n]] for one in read}

    for layer in range(last + 1):
        for sender, rows in moved("resid_pre", layer, ("q", "k", "v")):
            for site, row in rows.items():
                for head in range(row.shape[2]):
                    yield Move(
                        (sender, f"a{layer}.h{head}<{site}>"),
                        Address(site, layer, heads=(head,)),
                        here[site, layer][:, :, [head]],
                        row[:, :, [head]],
                    )
        for sender, rows in moved("resid_mid", layer, ("mlp_out",)):
            edge = (sender, f"m{layer}")
            yield Move(edge, Address("mlp_out", layer), here["mlp_out", layer], rows["mlp_out"])
    stream = here["resid_post", last]
    for sender, shift in shifts.items():
        yield Move((sender, "logits"), Address("resid_post", last), stream, stream + shift)


def writes(model: Model, prompt: tuple[int, ...]) -> dict[str, Tensor]:
    """What each sender adds to the residual stream, [1, pos, d_model]; biases of attention are nobody's, but
    the heads' alike where a norm is behind them."""
    cache = model.run_with_cache(prompt, ["resid_pre", "z", "mlp_out"])
    written = {"input": cache["resid_pre", 0]}
    for layer in range(model.arch.n_layers):
        by_head = heads(model, layer, cache["z", layer])
        written |= {f"a{layer}.h{head}": by_head[head] for head in range(model.arch.n_heads)}
        written[f"m{layer}"] = cache["mlp_out", layer]
    return written


def heads(model: Model, layer: int, z: Tensor) -> Tensor:
    """What each head adds, [head, row, pos, d_model], given the z of all, [row, pos, head, d_head]; with a
    norm behind them, by the formula and the weights of its family."""
    by_head = torch.einsum("bphd,hdm->hbpm", z, model.W_O(layer))
    if not model.arch.post_norms:
        return by_head
    block = model.layers[layer]  # type: ignore[attr-defined]
    norm, project = block.post_attention_layernorm, block.self_attn.o_proj
    gemma = model.arch.family.startswith("gemma")
    gain, eps = (1 + norm.weight, norm.eps) if gemma else (norm.weight, norm.variance_epsilon)
    if project.bias is not None:
        by_head = by_head + project.bias / len(by_head)
    rms = (project(z.flatten(-2)).square().mean(-1, keepdim=True) + eps).sqrt()  # [row, pos, 1]
    return (gain * by_head / rms).detach()


def exact_effects(
    model: Model, base: tuple[int, ...], donor: tuple[int, ...], readout: Readout
) -> dict[Edge, float]:
    """What moving each edge alone changes in what `readout` reads, one number a run."""
    every = list(moves(model, base, donor))
    branches = [[], *([Edit("set", move.address, move.moved)] for move in every)]
    values = model.sweep(base, branches, readout, exact=True).values
    return {move.edge: (value - values[0]).item() for move, value in zip(every, values[1:], strict=True)}


def first_order_effects(
    model: Model, base: tuple[int, ...], donor: tuple[int, ...], readout: Readout
) -> dict[Edge, float]:
    """The same by the gradient at the base run (for q, k, v and the logits, and for linear MLPs: EAP)."""
    every = list(moves(model, base, donor))
    places = list(dict.fromkeys((move.address.site, move.address.layer) for move in every))
    gradients = dict(zip(places, model.gradients(base, places, readout), strict=True))
    effects = {}
    for move in every:
        gradient = gradients[move.address.site, move.address.layer]
        if move.address.heads is not None:
            gradient = gradient[:, :, list(move.address.heads)]
        effects[move.edge] = ((move.moved - move.base) * gradient).double().sum().item()
    return effects


def _before(sender: str, site: str, layer: int) -> bool:
    """Whether a sender has written when the residual stream is at `site` of a layer."""
    if sender == "input":
        return True
    wrote = int(sender[1:].split(".")[0])
    return wrote < layer or (wrote == layer and site == "resid_mid" and sender.startswith("a"))
