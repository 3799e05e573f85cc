"""Models in which a direction, or a plane, has a known meaning: what probes, contrasts and searches must
find."""

from __future__ import annotations

import copy
import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

import interp
from conftest import tiny_model
from interp.tasks.base import Pair, PairDataset
from planting import BOS, Plant

# ---- a direction that some tokens have ----

WITH, WITHOUT = range(40, 60), range(60, 80)


def with_direction(strength: float) -> tuple[interp.Model, Tensor]:
    """A tiny model in whose embedding the tokens `WITH` have a direction more than they had, as long as
    `strength` usual tokens; and that direction, of length 1."""
    hf_model = copy.deepcopy(tiny_model("tiny-gpt2"))
    weight = hf_model.get_input_embeddings().weight
    direction = torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(1))
    direction = direction / direction.norm()
    with torch.no_grad():
        weight[list(WITH)] += strength * weight.std() * weight.shape[1] ** 0.5 * direction
    return interp.load_model(hf_model, device="cpu", self_check=False), direction


# ---- a plane in which a variable is written ----

N = 16  # values, at even angles
VALUES = range(1, 1 + N)  # the token that has each value
SAID = range(1 + N, 1 + 2 * N)  # the token that is said for it
FILLERS = range(1 + 2 * N, 48)
_LOGIT, _NOISE, _WIDTH = 20.0, 3.0, 160


@dataclass(frozen=True, eq=False)
class PlantedPlane:
    """One place after a token with a value, the model says the token that is said for it. A value is an
    angle: the token has it in plane `token`, from which head 0.2, which looks one back, copies it to plane
    `copied`; the unembedding reads that alone. So at the last position the variable is in plane `copied`
    after layer 0, and nowhere before; where the token is, it is in plane `token`. Fillers differ much more,
    in directions that nothing reads."""

    hf_model: PreTrainedModel
    token: Tensor  # [d_model, 2], orthonormal
    copied: Tensor


def planted_plane() -> PlantedPlane:
    plant = Plant("gpt2", vocab=48, n_layers=2, n_ctx=16, width=_WIDTH, spaces=("token",))
    used = 1 + max(axis for space in plant.space.values() for axis in space)
    generator = torch.Generator().manual_seed(0)
    free = torch.randn(_WIDTH - used, 6, generator=generator)
    free = torch.linalg.qr(free - free.mean(0)).Q  # sums of 0, so that they need no balance
    planes = torch.zeros(_WIDTH, 6)
    planes[used:] = free - free.mean(0)
    token, copied, noise = planes[:, :2], planes[:, 2:4], planes[:, 4:]
    angles = torch.arange(N) * 2 * math.pi / N
    codes = torch.stack([angles.cos(), angles.sin()], 1)  # [value, 2]
    plant.embed[list(VALUES)] += codes @ token.T
    drawn = torch.randn(len(FILLERS), 2, generator=generator)
    plant.embed[list(FILLERS)] += _NOISE * drawn @ noise.T
    head = plant.head((0, 2))
    head.looks_back(1)
    head._writes(token, copied)
    plant.unembed[:, list(SAID)] = _LOGIT * copied @ codes.T
    return PlantedPlane(plant.grow("relu"), token, copied)


def plane_pairs(n: int, *, seed: int = 0) -> PairDataset:
    """Prompts of a value, and the same with another value. Roles: value, END."""
    rng = random.Random(seed)
    pairs = []
    for i in range(n):
        value, other = i % N, (i + rng.randrange(1, N)) % N
        first, last = rng.choice(FILLERS), rng.choice(FILLERS)
        clean, corrupted = ((BOS, first, VALUES[v], last) for v in (value, other))
        where = {"value": (2,), "END": (3,)}
        pairs.append(
            Pair(clean=clean, corrupted=corrupted, answer=SAID[value], foil=SAID[other], positions=where)
        )
    return PairDataset(name="plane", pairs=tuple(pairs))


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """The cosines of the principal angles of two subspaces, of orthonormal columns, the smallest angle
    first."""
    return torch.linalg.svdvals(one.double().T @ other.double())
