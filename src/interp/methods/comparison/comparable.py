"""Whether two models can be laid side by side: one architecture, one vocabulary, room for both."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torch import nn

from interp.architecture import Architecture, Identity
from interp.errors import InputError
from interp.models.base import Model
from interp.models.memory import free_bytes

#: What may differ: how long a prompt may be, which training can extend.
_MAY_DIFFER = ("n_ctx",)
_ROOM = 1.2  # times the weights: loading holds a little more


@dataclass(frozen=True)
class Shape:
    """What two models must have in common, kept when a model is let go."""

    name: str
    arch: Architecture
    bos: str
    bos_id: int | None
    vocabulary: dict[str, int] | None  # the tokens by their texts; None without a tokenizer

    @classmethod
    def of(cls, model: Model) -> Shape:
        vocabulary = None if model.tokenizer is None else dict(model.tokenizer.get_vocab())
        return cls(model.identity.name, model.arch, model.identity.bos, model.bos_id, vocabulary)


def check_comparable(model: Shape, other: Shape) -> None:
    """`InputError` where two models differ in architecture, shape, vocabulary or BOS, so that an activation
    of the one has no place in the other."""
    ours, theirs = asdict(model.arch), asdict(other.arch)
    for key, value in ours.items():
        if key not in _MAY_DIFFER and theirs[key] != value:
            raise InputError(
                f"{model.name} and {other.name} cannot be compared part by part: {key} is {value} in the one "
                f"and {theirs[key]} in the other; take two models of one architecture and shape."
            )
    if (model.bos, model.bos_id) != (other.bos, other.bos_id):
        raise InputError(
            f"{model.name} begins prompts with {model.bos!r} and {other.name} with {other.bos!r}, so that "
            "they would read different tokens; set bos alike for both."
        )
    if model.vocabulary != other.vocabulary:
        raise InputError(
            f"{model.name} and {other.name} have different vocabularies, so that one id means two things; "
            "take two models with one tokenizer."
        )


def labels_of(model: Model, other: Model) -> tuple[str, str]:
    """What the two are called: by their names, and by what else tells them apart where these are the same."""
    a, b = model.identity, other.identity
    if a.name != b.name:
        return a.name, b.name
    for key in ("revision", "dtype", "backend", "weights"):
        if getattr(a, key) != getattr(b, key):
            return _label(a, key), _label(b, key)
    return a.name, f"{a.name} (again)"


def _label(identity: Identity, key: str) -> str:
    value = getattr(identity, key)
    return identity.name if value is None else f"{identity.name}, {str(value)[:12]}"


def weight_bytes(module: nn.Module) -> int:
    """How much memory the weights of a model take; shared ones count once."""
    return sum(weight.numel() * weight.element_size() for weight in module.parameters())


def check_room(model: Model, more: int) -> None:
    """`InputError` where there is no room for so many more models of this size beside it."""
    need, free = _ROOM * more * weight_bytes(model.hf_model), free_bytes(model.device)
    if need > free:
        raise InputError(
            f"{more} more of the size of {model.identity.name} need about {need / 1e9:.2g} GB, and "
            f"{free / 1e9:.2g} GB are free; close other programs, or take dtype bfloat16 for both."
        )
