"""What a lens reads of an answer of several tokens or forms (`interp.answers`) at each layer.

Each token is read where it is predicted, behind those before it (teacher forcing), at the same layer; their
log-probabilities add up. When it misleads: the tokens before it are there at every layer, so that a layer
which would never begin the answer can still go on with it; look at the tokens one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.answers import Answer
from interp.readout import by_continuation

#: What a lens reads in a run, given its ids and some of its positions: logits in float64, on the CPU.
Read = Callable[[Sequence[int], Sequence[int]], Float[Tensor, "layer place d_vocab"]]


@dataclass(frozen=True, eq=False)
class ReadAnswer:
    """An answer as it is read at each layer, at one position of a prompt."""

    tokens: tuple[tuple[Float[Tensor, "layer token"], Int[Tensor, "layer token"]], ...]  # of each form

    @property
    def log_prob(self) -> Float[Tensor, " layer"]:
        """The logarithm of its probability, in nats."""
        return torch.stack([log_probs.sum(-1) for log_probs, _ in self.tokens]).logsumexp(0)

    @property
    def rank(self) -> Int[Tensor, " layer"]:
        """The rank of the token that ranks last, of the form of which it ranks first: at 1 the layer would
        say the answer, token by token."""
        return torch.stack([ranks.amax(-1) for _, ranks in self.tokens]).amin(0)


def read_answer(read: Read, ids: Sequence[int], answer: Answer) -> ReadAnswer:
    """The answer behind a prompt of these ids."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for continuation, forms in by_continuation(answer.forms):
        places = range(len(ids) - 1, len(ids) + len(continuation))
        logits = read([*ids, *continuation], places)  # [layer, place, d_vocab]
        for number in forms:
            form = answer.forms[number]
            wanted = torch.tensor(form).expand(len(logits), -1)[..., None]  # [layer, token, 1]
            own = logits[:, : len(form)]
            of_token = own.gather(-1, wanted)
            ranks = (own > of_token).sum(-1) + 1
            found[number] = (own.log_softmax(-1).gather(-1, wanted)[..., 0], ranks)
    return ReadAnswer(tuple(found[number] for number in range(len(answer.forms))))
