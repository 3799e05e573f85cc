"""Something else in the place of a component: the edits of zero, mean and resample ablation, and of noise.

By what a component is replaced matters, and conclusions change with it. The kinds:

- ``zero``, zero ablation: zeros. Simple, and far from anything that the model has seen: it also removes what
  the component always writes, as a bias does.
- ``mean``, mean ablation: its mean over all positions of the reference prompts. Removes what varies, keeps
  what is constant.
- ``mean_by_position``: its mean over the reference prompts at the same position; they must be of one length.
- ``mean_by_template``: the same over the prompts of the same template and length (Wang et al. 2022,
  https://arxiv.org/abs/2211.00593, section 2.3): keeps what the template alone says, removes the names.
- ``resample``, resample ablation: what it is in another prompt, at the same position (Chan et al. 2022,
  causal scrubbing): an activation that the model did have. It may carry another answer, so the metric can
  fall below 0.
- ``noise``: Gaussian noise is added, of the standard deviation that each entry of the activation has over all
  positions of the reference prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.names import Component
from interp.models.base import Model

Kind = Literal["zero", "mean", "mean_by_position", "mean_by_template", "resample", "noise"]
KINDS: tuple[Kind, ...] = ("zero", "mean", "mean_by_position", "mean_by_template", "resample", "noise")
Key = tuple[str, int]  # site, layer
#: What to put in the place of the activation at a key: [run, pos, ...], with a row for each run in which the
#: prompt is measured (`interp.readout`) or one for all, and one position where all get the same. For noise,
#: what is added to it.
Activation = Callable[[Key], Tensor]


def check_kinds(kinds: str | Sequence[str], valid: Sequence[str] = KINDS) -> tuple[str, ...]:
    """One or several kinds of ablation. `InputError` for one that is not valid, for none, or one twice."""
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    for kind in kinds:
        check_choice("kind of ablation", kind, valid)
    if not kinds or len(set(kinds)) != len(kinds):
        raise InputError("Name at least one kind of ablation, and each once.")
    return kinds


def replace_component(
    model: Model,
    component: Component,
    kind: str,
    activation: Activation,
    *,
    positions: tuple[int, ...] | None = None,
) -> list[Edit]:
    """The edits that ablate a component at some positions, or at all. `activation` is not asked for zeros."""
    if component.kind == "neuron":
        return _replace_neuron(model, component, kind, activation, positions)
    heads = None if component.kind != "head" or component.index is None else (component.index,)
    edits = []
    for site, layer in component.sites:
        if kind == "zero":
            edits.append(Edit.zero(site, layer, positions=positions, heads=heads))
            continue
        value = _at(activation((site, layer)), positions)  # [run, pos or 1, (head,) width]
        if heads is not None:
            value = value[:, :, list(heads)]  # [run, pos or 1, 1, d_head]
        operation = Edit.add if kind == "noise" else Edit.set
        edits.append(operation(site, layer, value=value, positions=positions, heads=heads))
    return edits


def _replace_neuron(
    model: Model, component: Component, kind: str, activation: Activation, positions: tuple[int, ...] | None
) -> list[Edit]:
    """Edits of one entry of mlp_act, whatever the others are: the entry is taken out, then put in anew."""
    ((site, layer),) = component.sites
    only = torch.zeros(model.arch.d_mlp or 0, dtype=model.dtype)
    only[component.index] = 1.0
    take_out = [] if kind == "noise" else [Edit.project_out(site, layer, value=only, positions=positions)]
    if kind == "zero":
        return take_out
    new = _at(activation((site, layer)), positions) * only  # [run, pos or 1, d_mlp]
    return [*take_out, Edit.add(site, layer, value=new, positions=positions)]


def _at(activation: Tensor, positions: tuple[int, ...] | None) -> Tensor:
    return activation if positions is None or activation.shape[1] == 1 else activation[:, list(positions)]
