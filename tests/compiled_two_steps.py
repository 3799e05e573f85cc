"""A transformer compiled by hand that takes two steps, of which the one in between is at a known layer.

Three groups of eight tokens, a, b and c, and a map from each a to a b, and from each b to a c. One place
after an a, whatever stands there, the model says c(b(a)); two places after, b(a):

- layer 0, head 0.2 looks one back and copies the token there to space ``seen``;
- layer 1, the MLP reads a in ``seen`` and writes b(a) into space ``bridge``: the step in between, which the
  unembedding does not read;
- layer 2, the MLP reads ``bridge`` and writes c(b(a)) into ``output``, and head 2.1, which looks one back,
  copies what stands in ``bridge`` there to ``output``.

So b is in the stream after layer 1 and not before, in a space that the logit lens cannot read; what it makes
the model say later is b. Exchanging two b there makes the model say the c of the other.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from transformers import PreTrainedModel

from interp.tasks.two_hops import TwoHop
from planting import BOS, Plant

N = 8
A, B, C = (range(1 + N * i, 1 + N * (i + 1)) for i in range(3))
FILLERS = range(1 + 3 * N, 32)
LOGIT = 8.0
BRIDGE_LAYER = 1  # after which the bridge is there


def bridge_of(a: int) -> int:
    return B[(a - A[0] + 3) % N]


def answer_of(b: int) -> int:
    return C[(b - B[0] + 5) % N]


def two_step_model() -> PreTrainedModel:
    """The model; the norms do nothing (`planting`)."""
    spaces = ("token", "seen", "bridge", "output")
    plant = Plant("gpt2", vocab=32, n_layers=3, n_ctx=64, width=256, spaces=spaces)
    head = plant.head((0, 2))
    head.looks_back(1)
    head.copies("token", "seen")
    for neuron, a in enumerate(A):
        plant.mlp_in[1, :, neuron] = plant.read("seen", [a])[:, 0]
        plant.mlp_out[1, neuron] = plant.read("bridge", [bridge_of(a)])[:, 0]
    for neuron, b in enumerate(B):
        plant.mlp_in[2, :, neuron] = plant.read("bridge", [b])[:, 0]
        plant.mlp_out[2, neuron] = LOGIT * plant.read("output", [answer_of(b)])[:, 0]
    head = plant.head((2, 1))
    head.looks_back(1)
    head.copies("bridge", "output", LOGIT)
    return plant.grow("relu")


def sequences(n: int, *, length: int = 40, seed: int = 0) -> list[list[int]]:
    """BOS and random tokens, in which every third is an a."""
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        ids = [BOS]
        while len(ids) < length:
            ids += [rng.choice(A), rng.choice(FILLERS), rng.choice(FILLERS)]
        found.append(ids[:length])
    return found


def cases(n: int, *, seed: int = 0) -> tuple[TwoHop, ...]:
    """Prompts that end one place after an a, and both steps by themselves: two places after it the bridge is
    said, and c one place after."""
    rng = random.Random(seed)
    found = []
    for a in _chosen(n, rng):
        first, second = rng.choice(FILLERS), rng.choice(FILLERS)
        prompt = [BOS, first, a, second]
        found.append(
            TwoHop(
                relation="planted",
                prompt=prompt,
                bridge=bridge_of(a),
                answer=answer_of(bridge_of(a)),
                hops=([BOS, a, first, second], [BOS, a, second]),
            )
        )
    return tuple(found)


def _chosen(n: int, rng: random.Random) -> Sequence[int]:
    return [A[i % N] for i in rng.sample(range(n), n)]
