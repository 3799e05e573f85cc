"""Edits as a configuration says them: at an address, of neurons or features, or along a direction.

edits:
  - {op: zero, at: "blocks.3.hook_mlp_out", start: -1}  # from the last token of the prompt on
  - {op: scale, at: "blocks.3.mlp.hook_post", neurons: [17], value: 0}  # scale or add
  - {op: add, features: [1302], value: 100, start: generated}  # of the key sae; in what is said alone
  - {op: clamp, direction: 0, value: 1}  # of the file in the key directions; held at the second label
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from interp.errors import ConfigError, nearest

if TYPE_CHECKING:
    from interp.edits import Edit, EditFrom
    from interp.methods.common.direction import Direction
    from interp.models.base import Model
    from interp.saes.dictionary import SAE
    from interp.sites import Address

DIRECTION_OPS = ("add", "project_out", "clamp")


class EditText(TypedDict):
    """An operation at an address (`at`), perhaps on some `neurons` there, on `features` or along a
    `direction` (its number in the file), with a value; from a position on, or in what is said alone, where
    `start` says so."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    op: str
    at: NotRequired[str]
    neurons: NotRequired[list[int]]
    features: NotRequired[list[int]]
    direction: NotRequired[int]
    value: NotRequired[float | list[float]]
    start: NotRequired[int | Literal["generated"]]


def read_edits(
    given: Sequence[EditText], model: Model, *, sae: SAE | None, directions: Sequence[Direction]
) -> list[Edit | EditFrom]:
    """The edits of this model that a configuration says; `ConfigError` for what it lacks."""
    from interp.edits import EditFrom

    edits: list[Edit | EditFrom] = []
    for one in given:
        made = _edits(one, model, sae, directions)
        edits += [EditFrom(edit, one["start"]) for edit in made] if "start" in one else made
    return edits


def read_prompt_edits(
    given: Sequence[EditText], model: Model, *, sae: str | None, directions: str | None
) -> list[Edit]:
    """The edits of a prompt's run that a configuration says, with the names of the dictionary and the file
    of directions. `ConfigError` for what is lacking, and for edits of what is said after it."""
    from interp.methods.common.direction import read_directions
    from interp.saes.sources import load_sae

    if any("start" in one for one in given):
        raise ConfigError("A prompt is read as a whole, and nothing is said after it; leave 'start' out.")
    loaded = None if sae is None else load_sae(sae, model)
    found = [] if directions is None else read_directions(directions, model)
    return [edit for one in given for edit in _edits(one, model, loaded, found)]


def _edits(given: EditText, model: Model, sae: SAE | None, directions: Sequence[Direction]) -> list[Edit]:
    import torch

    from interp.edits import Edit, neuron_edit
    from interp.saes.edits import feature_edit
    from interp.sites import Address

    op, value = given["op"], given.get("value")
    at = None if "at" not in given else Address.parse(given["at"])
    if ("neurons" in given) + ("features" in given) + ("direction" in given) > 1:
        raise ConfigError("An edit is of neurons, of features or along a direction; write one for each.")
    if "features" in given:
        if sae is None:
            raise ConfigError("An edit of features needs the dictionary that they are of; give 'sae'.")
        where = _where(at, sae.address)
        own: Any = torch.tensor(value) if isinstance(value, list) else value
        return [feature_edit(sae, op, given["features"], value=own, **where)]  # type: ignore[arg-type]
    if "direction" in given:
        direction = chosen_direction(directions, given["direction"])
        return _along(direction, op, value, _where(at, direction.address))
    if at is None:
        raise ConfigError(
            "An edit needs 'at', an address such as blocks.3.hook_resid_post, or 'features' or 'direction'."
        )
    if "neurons" in given:
        if at.site != "mlp_act" or at.layer is None or not isinstance(value, int | float):
            raise ConfigError(
                "An edit of neurons is at an address such as blocks.3.mlp.hook_post, with a number as value."
            )
        how: Any = op
        return [neuron_edit(model, how, at.layer, given["neurons"], value=value, positions=at.positions)]
    made: Any = torch.tensor(value) if isinstance(value, list) else value
    return [Edit(op, at, made)]  # type: ignore[arg-type]


def chosen_direction(directions: Sequence[Direction], number: int) -> Direction:
    """A direction by its number in the file; `ConfigError` where there is none."""
    if not directions:
        raise ConfigError("A direction is one of a file; give 'directions'.")
    if not 0 <= number < len(directions):
        raise ConfigError(f"There is no direction {number}; the file has {len(directions)}, from 0.")
    return directions[number]


def _along(direction: Direction, op: str, value: Any, where: dict[str, Any]) -> list[Edit]:
    """Edits along a direction: its strength is in units of the typical norm there."""
    if op not in DIRECTION_OPS:
        raise ConfigError(f"Unknown operation {op!r} along a direction; {nearest(op, DIRECTION_OPS)}")
    if op == "project_out" and value is None:
        return direction.project_out(**where)
    if op == "clamp" and value in (0, 1):
        return direction.clamp(int(value), **where)
    if op == "add" and isinstance(value, int | float):
        return direction.add(value, **where)
    needs = {"project_out": "no value", "clamp": "the number of a label, 0 or 1", "add": "a strength"}
    raise ConfigError(f"The operation {op!r} along a direction takes {needs[op]}; got {value!r}.")


def _where(at: Address | None, own: Address) -> dict[str, Any]:
    """Positions and rows; `ConfigError` where an address names another place."""
    if at is not None and (at.site, at.layer) != (own.site, own.layer):
        raise ConfigError(f"That is at {own}, not at {at}; leave 'at' out.")
    return {} if at is None else {"positions": at.positions, "rows": at.rows}
