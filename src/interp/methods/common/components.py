"""What can be ablated, by name: heads, attention layers, MLPs, neurons, layers, positions, and sets of them.

The names are those of `interp.methods.common.names`:

- ``a5.h1``, or ``5.1``: head 1 of layer 5, its z. ``a5``: what the attention of layer 5 adds, its attn_out.
- ``m3``: what the MLP of layer 3 adds, its mlp_out. ``m3.n17``: its neuron 17, an entry of mlp_act.
- ``l3``: layer 3, what its attention and its MLP add; with both zero, the layer is skipped.
- ``input``: what the first layer reads. ``input@S2``: the same at one position, as if another token stood
  there. Any component may be restricted to a position (``@4``, ``@-1``) or to a role of the dataset
  (``a5.h1@END``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from interp.errors import InputError
from interp.methods.common.names import COMPONENTS, Component, Kind, check_exists, parse, parse_set, set_name
from interp.models.base import Model

Set = tuple[Component, ...]

#: Words for all components of a kind, each by itself.
WORDS: dict[str, Kind] = {"heads": "head", "attention": "attention", "mlps": "mlp", "layers": "layer"}
POSITIONS = "positions"  # the input at each role
_NEURONS = re.compile(r"(m\d+)\.neurons")  # of an MLP


def find_sets(model: Model, wanted: str | Sequence[str | Sequence[str]], roles: Sequence[str]) -> list[Set]:
    """What to ablate, one set at a time.

    `wanted` is a list whose items are a name; several names in a list, or joined by `` + ``, to be ablated
    together (an empty list: nothing); or a word: ``heads``, ``attention``, ``mlps``, ``layers`` (each by
    itself), ``positions`` (the input at each of the dataset's `roles`), ``m3.neurons`` (each neuron of an
    MLP). A word may stand alone.
    Raises `InputError` or `SiteError` for what the model does not have.
    """
    sets: dict[Set, None] = {}
    for item in [wanted] if isinstance(wanted, str) else wanted:
        for found in _sets(model, item, roles):
            for component in found:
                _check(component, model)
            _check_apart(found)
            if found in sets:
                raise InputError(f"{set_name(found)!r} is asked for twice; name each set once.")
            sets[found] = None
    if not sets:
        raise InputError("Name at least one component to ablate, such as 'heads' or 'a5.h1'.")
    return list(sets)


def _sets(model: Model, item: str | Sequence[str], roles: Sequence[str]) -> list[Set]:
    """The sets that an item stands for."""
    if not isinstance(item, str):
        return [tuple(parse(name, COMPONENTS) for name in item)]
    arch = model.arch
    if item == "heads":
        heads = [(layer, head) for layer in range(arch.n_layers) for head in range(arch.n_heads)]
        return [(Component(kind="head", layer=layer, index=head),) for layer, head in heads]
    if item in WORDS:
        return [(Component(kind=WORDS[item], layer=layer),) for layer in range(arch.n_layers)]
    if item == POSITIONS:
        if not roles:
            raise InputError("The dataset has no roles; name positions, such as 'input@4'.")
        return [(Component(kind="input", where=role),) for role in roles]
    if match := _NEURONS.fullmatch(item):
        mlp = parse(match[1], COMPONENTS)
        _check(mlp, model)
        model.check_site("mlp_act")
        return [(Component(kind="neuron", layer=mlp.layer, index=n),) for n in range(arch.d_mlp or 0)]
    if close := get_close_matches(item, [*WORDS, POSITIONS], n=1, cutoff=0.8):
        raise InputError(f"{item!r} is no component; did you mean {close[0]!r}?")
    return [parse_set(item)]


def _check(component: Component, model: Model) -> None:
    """`InputError` where the model has no such component, `SiteError` where it is out of reach."""
    for site, _ in component.sites:
        model.check_site(site)
    check_exists(component, model.arch)


def _check_apart(components: Set) -> None:
    """Refuse a set in which one component is the same as another or a part of it."""
    seen: dict[tuple[str, int, int | None], list[str | int | None]] = {}
    for component in components:
        for site, layer in component.sites:
            others = seen.setdefault((site, layer, component.index), [])
            if others and (component.where is None or None in others or component.where in others):
                raise InputError(
                    f"In {set_name(components)!r}, {component} is there twice, or a part of another; "
                    "name it once."
                )
            others.append(component.where)
