"""What can be knocked out, by name: heads, attention layers, MLPs, neurons, layers, positions.

The names of the circuit graph (``a5.h1``, ``m3``, ``input``), and as many again:

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
from dataclasses import dataclass
from typing import Literal

from interp.errors import InputError
from interp.models.base import Model

Kind = Literal["head", "attention", "mlp", "neuron", "layer", "input"]
_NAMES: tuple[tuple[Kind, str], ...] = (
    ("head", r"a(\d+)\.h(\d+)"),
    ("head", r"(\d+)\.(\d+)"),
    ("attention", r"a(\d+)"),
    ("mlp", r"m(\d+)"),
    ("neuron", r"m(\d+)\.n(\d+)"),
    ("layer", r"l(\d+)"),
    ("input", "input"),
)


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part of a model, perhaps at some positions only."""

    kind: Kind
    layer: int = 0
    index: int | None = None  # of a head or a neuron
    where: str | int | None = None  # a role or a position; None: everywhere

    def __str__(self) -> str:
        base = {
            "head": f"a{self.layer}.h{self.index}",
            "attention": f"a{self.layer}",
            "mlp": f"m{self.layer}",
            "neuron": f"m{self.layer}.n{self.index}",
            "layer": f"l{self.layer}",
            "input": "input",
        }[self.kind]
        return base if self.where is None else f"{base}@{self.where}"

    @classmethod
    def parse(cls, text: str) -> Component:
        """The component of this name; `InputError` where it is none."""
        name, at, where = text.partition("@") if isinstance(text, str) else ("", "", "")
        for kind, form in _NAMES:
            if (match := re.fullmatch(form, name)) and bool(at) == bool(where):
                layer, index = (*map(int, match.groups()), None, None)[:2]
                place = int(where) if re.fullmatch(r"-?\d+", where) else where or None
                return cls(kind=kind, layer=layer or 0, index=index, where=place)
        raise InputError(
            f"{text!r} is no component; write 'a5.h1' (a head), 'a5' (an attention layer), 'm3' (an MLP), "
            "'m3.n17' (a neuron), 'l3' (a layer) or 'input', perhaps with a position or role, as in "
            "'a5.h1@-1' or 'a5.h1@END', and ' + ' between those of a set; or 'heads', 'attention', 'mlps', "
            "'layers', 'positions' or 'm3.neurons'."
        )

    @property
    def sites(self) -> tuple[tuple[str, int], ...]:
        """The activations, (site, layer), that make it up."""
        return {
            "head": (("z", self.layer),),
            "attention": (("attn_out", self.layer),),
            "mlp": (("mlp_out", self.layer),),
            "neuron": (("mlp_act", self.layer),),
            "layer": (("attn_out", self.layer), ("mlp_out", self.layer)),
            "input": (("resid_pre", 0),),
        }[self.kind]

    def check(self, model: Model) -> None:
        """Raise `InputError` where the model has no such component, `SiteError` where it is out of reach."""
        arch = model.arch
        for site, _ in self.sites:
            model.check_site(site)
        of = {"head": arch.n_heads, "neuron": arch.d_mlp or 0}.get(self.kind)
        if self.layer >= arch.n_layers or (of is not None and (self.index or 0) >= of):
            raise InputError(
                f"There is no {self}; {model.identity.name} has {arch.n_layers} layers"
                + (f" of {of} {self.kind}s" if of is not None else "")
                + ", counted from 0."
            )


Set = tuple[Component, ...]


def find_sets(model: Model, wanted: str | Sequence[str | Sequence[str]], roles: Sequence[str]) -> list[Set]:
    """What to knock out, one set at a time.

    `wanted` is a list whose items are a name; several names in a list, or joined by `` + ``, to be knocked
    out together (an empty list: nothing); or a word: ``heads``, ``attention``, ``mlps``, ``layers`` (each by
    itself), ``positions`` (the input at each of the dataset's `roles`), ``m3.neurons`` (each neuron of an
    MLP). A word may stand alone.
    Raises `InputError` or `SiteError` for what the model does not have.
    """
    sets: dict[Set, None] = {}
    for item in [wanted] if isinstance(wanted, str) else wanted:
        for found in _sets(model, item, roles):
            for component in found:
                component.check(model)
            _check_apart(found)
            if found in sets:
                raise InputError(f"{set_name(found)!r} is asked for twice; name each set once.")
            sets[found] = None
    if not sets:
        raise InputError("Name at least one component to knock out, such as 'heads' or 'a5.h1'.")
    return list(sets)


def set_name(components: Set) -> str:
    """``a5.h1 + m3``; ``nothing`` for an empty set."""
    return " + ".join(map(str, components)) or "nothing"


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


def _sets(model: Model, item: str | Sequence[str], roles: Sequence[str]) -> list[Set]:
    if not isinstance(item, str):
        return [tuple(Component.parse(name) for name in item)]
    arch, layers = model.arch, range(model.arch.n_layers)
    if item == "heads":
        return [(Component(kind="head", layer=n, index=h),) for n in layers for h in range(arch.n_heads)]
    if item in ("attention", "mlps", "layers"):
        kind: Kind = {"attention": "attention", "mlps": "mlp", "layers": "layer"}[item]  # type: ignore[assignment]
        return [(Component(kind=kind, layer=layer),) for layer in layers]
    if item == "positions":
        if not roles:
            raise InputError("The dataset has no roles; name positions, such as 'input@4'.")
        return [(Component(kind="input", where=role),) for role in roles]
    if match := re.fullmatch(r"m(\d+)\.neurons", item):
        model.check_site("mlp_act")
        neurons = range(arch.d_mlp or 0)
        return [(Component(kind="neuron", layer=int(match[1]), index=n),) for n in neurons]
    return [tuple(Component.parse(name.strip()) for name in item.split(" + "))]
