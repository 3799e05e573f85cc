"""The activations that a probe or a direction is fitted to, and what can be told without any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel

from interp.errors import InputError, ModelLoadError, first_line
from interp.models.base import Model
from interp.models.registry import load_model
from interp.progress import report
from interp.sites import SITES, Address
from interp.tasks.labelled import LabelledDataset
from interp.tokens import Tokens

EMBEDDING = -1  # as a layer of ``resid_post``: the stream before the first
_MOST_ROWS = 32


def addresses_of(model: Model, site: str, layers: Sequence[int] | None) -> list[Address]:
    """A site in some layers, or all. Of ``resid_post``, layer -1 is the stream before the first.

    Raises `SiteError` for a site that the model does not have, `InputError` for one that has no layers, for
    ``pattern``, and for layers that are not there or named twice.
    """
    model.check_site(site)
    if not SITES[site].per_layer or site == "pattern":
        raise InputError(f"A probe reads a site of every layer that has a width, which {site!r} is not.")
    first = EMBEDDING if site == "resid_post" else 0
    chosen = list(range(first, model.arch.n_layers)) if layers is None else list(layers)
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError("Give at least one layer, and each once.")
    for layer in chosen:
        check_layer(model, layer, first=first)
    return [Address("resid_pre", 0) if i == EMBEDDING else Address(site, i) for i in chosen]


def check_layer(model: Model, layer: int, *, first: int = 0) -> None:
    """`InputError` for a layer that the model does not have."""
    if layer not in range(first, model.arch.n_layers):
        raise InputError(
            f"There is no layer {layer} to read here; {model.identity.name} has {first} to "
            f"{model.arch.n_layers - 1}."
        )


def layer_name(address: Address, site: str) -> str:
    """What the layer of an address is called where `site` is read: ``embed`` before the first."""
    return "embed" if address.site != site else str(address.layer)


def read_activations(
    model: Model, data: LabelledDataset, addresses: Sequence[Address], roles: Sequence[str]
) -> Float[np.ndarray, "role layer prompt width"]:
    """The activation of each prompt at each role, in float32; heads side by side, where a site has them."""
    prompts = list(dict.fromkeys(prompt.ids for prompt in data.prompts))
    row_of = {ids: row for row, ids in enumerate(prompts)}
    where: list[list[int]] = [[] for _ in prompts]  # the prompts of the data that each of these is
    for i, prompt in enumerate(data.prompts):
        where[row_of[prompt.ids]].append(i)
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    found: np.ndarray | None = None
    done = 0
    while done < len(order):
        rows = order[done : done + _MOST_ROWS]
        report("activations", done, len(order))
        cache = model.run_with_cache(
            Tokens.pad([prompts[row] for row in rows]), list(addresses), logits=False
        )
        values = [
            cache[address].flatten(2).float().cpu().numpy() for address in addresses
        ]  # [row, pos, width]
        if found is None:
            found = np.zeros((len(roles), len(addresses), len(data), values[0].shape[-1]), dtype=np.float32)
        for k, row in enumerate(rows):
            for i in where[row]:
                for r, role in enumerate(roles):
                    at = data.prompts[i].positions[role]
                    for a, value in enumerate(values):
                        found[r, a, i] = value[k, at]
        done += len(rows)
    report("activations", len(order), len(order))
    assert found is not None
    return found


def surface_features(data: LabelledDataset, role: str) -> Float[np.ndarray, "prompt feature"]:
    """What can be seen without a model: how long the prompt is, where the role stands, the token there, the
    one before it, and the first token of the prompt that is not the same in all. Tokens of a single group are
    left out: nothing is learned of them that holds for another."""
    tokens = [list(prompt.ids) for prompt in data.prompts]
    at = [prompt.positions[role] for prompt in data.prompts]
    shortest = min(map(len, tokens))
    first = next((p for p in range(shortest) if len({ids[p] for ids in tokens}) > 1), 0)
    columns = [[float(len(ids)) for ids in tokens], [float(p) for p in at]]
    for chosen in (
        [ids[p] for ids, p in zip(tokens, at, strict=True)],
        [ids[max(p - 1, 0)] for ids, p in zip(tokens, at, strict=True)],
        [ids[first] for ids in tokens],
    ):
        of: dict[int, set[str]] = {}
        for token, group in zip(chosen, data.groups, strict=True):
            of.setdefault(token, set()).add(group)
        several = [token for token, groups in of.items() if len(groups) > 1]
        columns += [[float(token == one) for token in chosen] for one in several]
    return np.array(columns, dtype=np.float32).T


def untrained_like(model: Model, seed: int) -> Model:
    """A model of the same shape and tokenizer, its weights drawn as before training.

    Raises `InputError` where one cannot be made, as of a class that needs more than its configuration.
    """
    kind: type[PreTrainedModel] = type(model.hf_model)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            drawn = kind(model.hf_model.config).to(model.device, model.dtype).eval()
        return load_model(
            drawn,
            model.tokenizer,
            dtype=str(model.dtype).removeprefix("torch."),
            bos=model.bos_id is not None,
            name=f"{model.identity.name}, untrained",
            self_check=False,
        )
    except (TypeError, ValueError, AttributeError, ModelLoadError) as error:
        raise InputError(
            f"No untrained model of the shape of {model.identity.name} can be made "
            f"({first_line(error)}); leave that control out with untrained=False."
        ) from None
