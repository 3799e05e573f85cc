"""Stitched runs: a part of one model (the *donor*) in the run of another (the *base*), to see where a
difference lives.

Two ways to carry a part over, which answer two questions:

- ``weights``: the donor's part reads what it finds in the base's run, and what it gives is put there. This is
  what the base would say if it had the donor's weights in this one part: a part with the same weights changes
  nothing, to the last digits. Of two models that differ in one part alone, it closes all of the difference,
  and every other part none of it.
- ``activation``: what the part gave in the donor's own run is put into the base's run, as in activation
  patching between two prompts. It also carries what was different before it: it shows where a difference
  passes, not where it arises.

Parts are the output of each attention layer and MLP, and each head's z (before the output projection: a
difference in that projection is seen in ``attn_out`` and not in any z). ``resid_pre`` is a *cut*: the donor
up to a layer, the base from there on (model stitching, Lenc & Vedaldi 2015, https://arxiv.org/abs/1411.5908,
with no layer trained in between), from the donor's embedding alone to all but the base's final norm and
unembedding; ``unembed`` is the donor's final norm and unembedding behind the base's last layer.

When it misleads: parts that only make sense together, such as a head that writes in a direction and one that
reads it, change nothing or do harm when they are carried alone; a rotated copy of a model is the same
function, and every stitch of it fails.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from interp.edits import Edit
from interp.methods.patching.cells import Cells
from interp.models.base import Cache, Exact, Model
from interp.readout import AnyReadout
from interp.tokens import Tokens

SITES: tuple[str, ...] = ("resid_pre", "attn_out", "mlp_out", "z")
Key = tuple[str, str]  # how it is carried over, and the site

Edits = list[list[Edit]]  # [layer][column]


def stitch(
    base: Model,
    donor: Model,
    tokens: Tokens,
    readout: AnyReadout,
    sites: Sequence[str],
    *,
    exact: Exact = "auto",
) -> tuple[float, dict[Key, Float[Tensor, "layer column"]]]:
    """What is read of the base's run of one prompt, and of each stitched run, by how it is carried over and
    by site."""
    runs = readout.runs(tokens)
    last = ("resid_post", base.arch.n_layers - 1)
    needed = list(dict.fromkeys(["resid_pre", "attn_out", *sites]))
    own = base.run_with_cache(runs, [*needed, last], logits=False)
    theirs = donor.run_with_cache(runs, [*sites, last], logits=False)
    wanted: dict[Key, Edits] = {}
    for site in sites:
        wanted["activation", site] = _edits(base, site, [theirs[site, i] for i in range(base.arch.n_layers)])
        if site != "resid_pre":
            wanted["weights", site] = _edits(base, site, outputs(donor, runs, own, site))
    branches = [[], *([edit] for edits in wanted.values() for row in edits for edit in row)]
    values = base.sweep(tokens, branches, readout, exact=exact).values.double()
    found: dict[Key, Tensor] = {}
    start = 1
    for key, edits in wanted.items():
        n = sum(map(len, edits))
        found[key] = values[start : start + n].view(len(edits), -1)
        start += n
    if "resid_pre" in sites:
        whole = readout(base.unembed(theirs[last].to(base.device, base.dtype))).double().cpu()
        cuts = found["activation", "resid_pre"]
        found["activation", "resid_pre"] = torch.cat([cuts, whole.view(1, 1)])
        behind = readout(donor.unembed(own[last].to(donor.device, donor.dtype))).double().cpu()
        found["weights", "unembed"] = behind.view(1, 1)
    return float(values[0]), found


def outputs(donor: Model, runs: Tokens, own: Cache, site: str) -> list[Float[Tensor, "run ..."]]:
    """What a site of each of the donor's layers gives in the runs of the base: the layer by itself reads the
    base's stream, its MLP behind the base's attention."""
    found = []
    for layer in range(donor.arch.n_layers):
        rows = []
        for row, n in enumerate(runs.lengths):
            prompt = Tokens.pad([runs.row(row)])
            stream, attention = (
                own[name, layer][row : row + 1, :n].to(donor.device, donor.dtype)
                for name in ("resid_pre", "attn_out")
            )
            before = [Edit.set("attn_out", layer, value=attention)] if site == "mlp_out" else []
            rows.append(donor.run_layer(prompt, layer, stream, [site], before)[site][0])
        found.append(pad_sequence(rows, batch_first=True))
    return found


def _edits(base: Model, site: str, values: Sequence[Float[Tensor, "run ..."]]) -> Edits:
    """The edits that put each layer's values into the base, each cell by itself."""
    cells = Cells(site, "head" if site == "z" else "layer")
    placed = [value.to(base.device, base.dtype) for value in values]
    columns = range(base.arch.n_heads) if site == "z" else range(1)
    return [[cells.patch(layer, c, value) for c in columns] for layer, value in enumerate(placed)]
