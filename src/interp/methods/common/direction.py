"""A direction in the activations of one site and layer: what it was made from, and the edits along it.

A direction is a unit vector with two lengths beside it: the typical norm of the activations there (`scale`),
in which strengths are given, since streams of models differ by a factor of hundreds and grow over the layers;
and the mean coordinates of the two labels along it (`ends`), between which a clamp goes.

`write_directions` and `read_directions` keep several in one ``.safetensors`` file: a tensor for each ("0",
"1", ...), and in its metadata, as JSON, what the fields say. Like lenses and dictionaries, they record the
SHA-256 of the unembedding that they were made for, and are refused for another.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, first_line
from interp.models.base import Model
from interp.models.unembedding import check_unembedding
from interp.sites import Address, Indices

_KEY = "directions"
_MOST_BYTES = 2**30  # of a file that is read


@dataclass(frozen=True, eq=False, kw_only=True)
class Direction:
    """A unit vector at a site and layer. Strengths are in units of the typical norm there."""

    vector: Float[Tensor, " width"]  # of length 1, float32, on the CPU
    address: Address
    role: str  # the position at which it was found
    how: str  # mean_difference | principal_component | logistic | random
    labels: tuple[str, str]  # from the first towards the second
    ends: tuple[float, float]  # the mean coordinate of each label along it
    scale: float  # the median norm of the activations that it was made from
    prompts: tuple[int, int]  # how many of each label it was made from
    data: str
    model: str
    revision: str | None
    unembed_sha256: str | None

    def add(self, strength: float, *, positions: Indices = None, rows: Indices = None) -> list[Edit]:
        """Add the direction, `strength` times the typical norm long; below 0, towards the first label."""
        value = strength * self.scale * self.vector
        return [Edit.add(self.address.site, self.address.layer, value=value, positions=positions, rows=rows)]

    def project_out(self, *, positions: Indices = None, rows: Indices = None) -> list[Edit]:
        """Take out what is along the direction."""
        site, layer = self.address.site, self.address.layer
        return [Edit.project_out(site, layer, value=self.vector, positions=positions, rows=rows)]

    def clamp(self, label: int, *, positions: Indices = None, rows: Indices = None) -> list[Edit]:
        """Hold the coordinate along it at the mean of a label: 0 for the first, 1 for the second."""
        site, layer = self.address.site, self.address.layer
        held = self.ends[label] * self.vector
        return [
            *self.project_out(positions=positions, rows=rows),
            Edit.add(site, layer, value=held, positions=positions, rows=rows),
        ]

    @property
    def description(self) -> str:
        """What it is, for a sentence."""
        return f"the direction from {self.labels[0]!r} to {self.labels[1]!r} ({self.how.replace('_', ' ')})"

    def check_fits(self, model: Model) -> None:
        """`InputError` where it was made for another model; `SiteError` for a site that is not there."""
        model.check_site(self.address.site)
        check_unembedding(
            model, {"unembed_sha256": self.unembed_sha256}, what="direction", made_for=self.model
        )


def write_directions(file: str | Path, directions: Sequence[Direction]) -> None:
    """Write directions to a new ``.safetensors`` file. `InputError` where there is one, or it cannot be
    written."""
    file = Path(file)
    if file.exists():
        raise InputError(f"There is a file {str(file)!r} already; choose another name.")
    if not directions:
        raise InputError("There is no direction to write.")
    said = [
        {
            "at": str(one.address),
            "role": one.role,
            "how": one.how,
            "labels": list(one.labels),
            "ends": list(one.ends),
            "scale": one.scale,
            "prompts": list(one.prompts),
            "data": one.data,
            "model": one.model,
            "revision": one.revision,
            "unembed_sha256": one.unembed_sha256,
        }
        for one in directions
    ]
    tensors = {str(i): one.vector.contiguous() for i, one in enumerate(directions)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, file, metadata={_KEY: json.dumps(said)})
    except OSError as error:
        raise InputError(
            f"The directions cannot be written to {str(file)!r} ({first_line(error)})."
        ) from None


def read_directions(file: str | Path, model: Model) -> list[Direction]:
    """The directions of a file, for use with `model`. `InputError` where it holds none that can be read, or
    such as were made for another model."""
    file = Path(file)
    if not file.is_file():
        raise InputError(f"There is no file {str(file)!r} with directions.")
    if file.stat().st_size > _MOST_BYTES:
        raise InputError(f"{str(file)!r} is larger than directions are; is it another file?")
    try:
        with safe_open(file, "pt") as held:
            said = json.loads((held.metadata() or {})[_KEY])
            found = [_read(one, held.get_tensor(str(i)).float()) for i, one in enumerate(said)]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(
            f"{str(file)!r} holds no directions that can be read ({type(error).__name__}: "
            f"{first_line(error)})."
        ) from None
    for one in found:
        one.check_fits(model)
    return found


def _read(said: dict, vector: Tensor) -> Direction:
    if vector.ndim != 1 or not torch.isfinite(vector).all() or abs(float(vector.norm()) - 1) > 1e-3:
        raise ValueError("a direction is a vector of length 1")
    (no, yes), (low, high), (n_no, n_yes) = said["labels"], said["ends"], said["prompts"]
    return Direction(
        vector=vector,
        address=Address.parse(said["at"]),
        role=str(said["role"]),
        how=str(said["how"]),
        labels=(str(no), str(yes)),
        ends=(float(low), float(high)),
        scale=float(said["scale"]),
        prompts=(int(n_no), int(n_yes)),
        data=str(said["data"]),
        model=str(said["model"]),
        revision=said["revision"],
        unembed_sha256=said["unembed_sha256"],
    )
