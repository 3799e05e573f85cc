"""Transformers compiled by hand, of which the circuit is known: the ground truth for methods.

Each function returns a `Planted`: a GPT-2 or Qwen3 of transformers, what its heads do, which edges carry the
behaviour, and pairs of prompts to find them with. `planting.py` says how weights are written, and why norms
and unplanted edges have no effect.

But for the linear model: the embedding writes the token into space ``token``, the unembedding reads space
``output``, and nothing reads ``unread``. *Distractors* are heads (and the MLP of layer 0) that do something
which does not matter: they attend, and write what they see into ``unread``. Head 0.0, which looks at BOS, and
a neuron of the last MLP also lower the logit of BOS, by the same in every prompt: they act on the logits, but
on no difference between two answers. All other heads and MLPs write nothing.

An edge is a (sender, receiver): "input" (the embeddings), "a0.h1" or "m0" -> "a1.h2<q>", "a1.h2<k>",
"a1.h2<v>", "m1" or "logits". With grouped queries the head of a key or value is the one of the keys and
values: a1.h1<k> is what both a1.h2 and a1.h3 look at.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel

from interp.readout import Readout
from planting import BOS, N_HEADS, Family, Plant

Edge = tuple[str, str]
Place = tuple[int, int]  # layer, head

LOGIT = 20.0  # what a head that copies to the output adds to the logit of the token it sees


@dataclass(frozen=True)
class Pair:
    """A clean and a corrupted prompt of as many tokens, and the answer of each."""

    clean: tuple[int, ...]
    corrupted: tuple[int, ...]
    answer: int
    foil: int
    positions: dict[str, int]  # of the tokens by their role in the clean prompt

    @property
    def readout(self) -> Readout:
        """logit(answer) - logit(foil) at the last position."""
        return Readout.logit_diff(self.answer, self.foil)


@dataclass(frozen=True, eq=False)
class Planted:
    """A model and the truth about it.

    Attributes:
        heads: the heads that matter, by what they do. Zero-ablating one ends the behaviour (except for
            ``negative_mover``, without which it gets stronger).
        distractors: heads that do something which does not matter.
        attention: (head, role, role): where it looks from and to, with more than 99 %.
        edges: exactly those along which what differs in a pair reaches logit(answer) - logit(foil), each by
            itself: patching it alone, from the corrupted into the clean run (noising), changes that.
        fixed_edges: edges of `heads` that carry positions and the like, the same in every prompt of a length:
            ablation sees them, patching does not.
        pairs: ``pairs(n, seed=0)`` draws pairs.
    """

    hf_model: PreTrainedModel
    heads: dict[str, Place]
    distractors: dict[str, Place]
    attention: tuple[tuple[str, str, str], ...]
    edges: frozenset[Edge]
    fixed_edges: frozenset[Edge]
    pairs: Callable[..., tuple[Pair, ...]]


def copy_previous_model(family: Family = "gpt2") -> Planted:
    """One layer: head 0.2 looks one back and copies the token there to the logits.

    Spaces: ``token`` (written by the embedding; read by the values of both heads), ``output`` (written by
    0.2), ``unread`` (written by 0.0, which looks at BOS, and by the MLP).

    Pairs: BOS and eight tokens; the corrupted prompt has eight others.
    """
    plant = Plant(family, vocab=32, n_layers=1, n_ctx=64, width=256, spaces=("token", "output", "unread"))
    previous, first = (0, 2), (0, 0)
    head = plant.head(previous)
    head.looks_back(1)
    head.copies("token", "output", LOGIT)
    _plant_first_token(plant, first)
    plant.echo(0)
    plant.never_bos(0)
    kv = plant.kv_head(2)
    return Planted(
        hf_model=plant.grow(),
        heads={"previous_token": previous},
        distractors={"first_token": first},
        attention=(("previous_token", "END", "BEFORE"), ("first_token", "END", "BOS")),
        edges=frozenset({("input", f"a0.h{kv}<v>"), ("a0.h2", "logits")}),
        fixed_edges=frozenset({("input", "a0.h2<q>"), ("input", f"a0.h{kv}<k>")}),
        pairs=_copy_pairs,
    )


def _copy_pairs(n: int, *, seed: int = 0) -> tuple[Pair, ...]:
    rng = random.Random(seed)
    pairs = []
    for _ in range(n):
        drawn = rng.sample(range(1, 32), 16)
        clean, corrupted = (BOS, *drawn[:8]), (BOS, *drawn[8:])
        pairs.append(Pair(clean, corrupted, clean[-2], corrupted[-2], {"BOS": 0, "BEFORE": 7, "END": 8}))
    return tuple(pairs)


def induction_model(family: Family = "gpt2") -> Planted:
    """Two layers: on repeated tokens, what came after the last token before comes again.

    0.2, previous-token head: looks one back and copies ``token`` there to ``previous`` here.
    1.3, induction head: query ``token``, key ``previous`` (K-composition with 0.2): it looks at the place
    behind the earlier occurrence of its token, and copies ``token`` there to ``output``.

    Distractors: 0.0 looks at BOS, 1.0 at the same token (itself included); both copy ``token`` to ``unread``,
    as the MLP of layer 0 does.

    Pairs: BOS, eight different tokens, and the same again up to one of them (the first to the seventh): the
    answer is the token after. The corrupted prompt has eight others.
    """
    spaces = ("token", "previous", "output", "unread")
    plant = Plant(family, vocab=32, n_layers=2, n_ctx=64, width=256, spaces=spaces)
    previous, induction, first, same = (0, 2), (1, 3), (0, 0), (1, 0)
    head = plant.head(previous)
    head.looks_back(1)
    head.copies("token", "previous")
    head = plant.head(induction)
    head.matches(plant.sharp * plant.read("token"), plant.read("previous"))
    head.copies("token", "output", LOGIT)
    _plant_first_token(plant, first)
    head = plant.head(same)
    head.matches(plant.sharp * plant.read("token"), plant.read("token"))
    head.copies("token", "unread")
    plant.echo(0)
    plant.never_bos(1)
    kv, kv_induction = plant.kv_head(2), plant.kv_head(3)
    return Planted(
        hf_model=plant.grow(),
        heads={"previous_token": previous, "induction": induction},
        distractors={"first_token": first, "same_token": same},
        attention=(
            ("previous_token", "AFTER", "MATCH"),
            ("induction", "END", "AFTER"),
            ("first_token", "END", "BOS"),
        ),
        edges=frozenset(
            {
                ("input", f"a0.h{kv}<v>"),
                ("a0.h2", f"a1.h{kv_induction}<k>"),
                ("input", "a1.h3<q>"),
                ("input", f"a1.h{kv_induction}<v>"),
                ("a1.h3", "logits"),
            }
        ),
        fixed_edges=frozenset({("input", "a0.h2<q>"), ("input", f"a0.h{kv}<k>")}),
        pairs=_repeated_pairs,
    )


def _repeated_pairs(n: int, *, seed: int = 0) -> tuple[Pair, ...]:
    rng = random.Random(seed)
    pairs = []
    for _ in range(n):
        drawn, repeated = rng.sample(range(1, 32), 16), rng.randint(1, 7)
        clean, corrupted = drawn[:8], drawn[8:]
        pairs.append(
            Pair(
                clean=(BOS, *clean, *clean[:repeated]),
                corrupted=(BOS, *corrupted, *corrupted[:repeated]),
                answer=clean[repeated],
                foil=corrupted[repeated],
                positions={"BOS": 0, "MATCH": repeated, "AFTER": repeated + 1, "END": 8 + repeated},
            )
        )
    return tuple(pairs)


NAMES = list(range(1, 9))
FILLERS = list(range(9, 15))
TO = 15
NEGATIVE = 0.25  # the negative name mover's strength, as a share of the name mover's


def indirect_object_model(
    family: Family = "gpt2", *, corruption: Literal["names", "subject"] = "names"
) -> Planted:
    """Three layers: "when A and B went, B gave ... to" is followed by A (Wang et al. 2022, arXiv 2211.00593).

    A prompt is BOS f N1 f N2 f S2 f TO with fillers f that differ; N1 and N2 are the indirect object IO and
    the subject's first mention S1, in that order (ABBA) or the other (BABA); S2 is the subject again; TO is
    END.

    0.2, duplicate-token head: query and key ``token``, names only: S2 looks at S1, a place whose name did not
    occur looks at BOS. It copies the name (none, from BOS) to ``duplicate``.
    1.3, S-inhibition head: looks two back (END at S2), copies ``duplicate`` to ``inhibit`` (V-composition).
    2.1, name mover: the query is, for each name, 7 (if the token is TO) less 7 times ``inhibit``; the key
    is ``token``. So END looks at IO, not at S1 and S2 (Q-composition). It copies ``token`` to ``output``.
    2.3, negative name mover: the same, but writes -0.25 times as much.

    Logit difference IO - S, in units of `LOGIT`: 1 - 0.25. Without duplicate-token or S-inhibition head both
    movers look at IO, S1 and S2 alike: (1/3 - 2/3)(1 - 0.25) = -0.25. Without the name mover: -0.25. Without
    the negative one: 1.

    Distractors: 0.0 looks at BOS, 1.0 one back; both copy ``token`` to ``unread``, as the MLP of layer 0.

    Args:
        corruption: of the pairs. ``names``: the corrupted prompt has three other names, all different (ABC).
            The foil is S. The edges hold for noising. Denoising one edge alone finds only the movers' edges
            to the logits and, with the other sign, to their values: nothing is inhibited there, and S is seen
            twice. ``subject``: S2 is replaced by IO, which makes S the answer, and S2 is all that differs, so
            that fewer edges carry anything. They hold in both directions. Beside them the movers see S2's
            value, though it is inhibited: below 0.2 % of the effect, but more than the gradient at one end
            gives to the edges of the first layer. So plain EAP ranks these wrongly; on ``names`` it does not.
    """
    spaces = ("token", "duplicate", "inhibit", "output", "unread")
    # Less sharp than the others: gradients reach the first layer through two heads that look elsewhere.
    plant = Plant(family, vocab=16, n_layers=3, n_ctx=16, width=128, spaces=spaces, sharp=7.0)
    duplicate, inhibition, mover, negative = (0, 2), (1, 3), (2, 1), (2, 3)
    first, before = (0, 0), (1, 0)
    head = plant.head(duplicate)
    head.finds_duplicates(NAMES)
    head.copies("token", "duplicate", rows=NAMES)
    head = plant.head(inhibition)
    head.looks_back(2)
    head.copies("duplicate", "inhibit")
    asks = plant.sharp * (plant.read("token", [TO]) - plant.read("inhibit", NAMES))  # [d_model, name]
    for place, strength in ((mover, LOGIT), (negative, -NEGATIVE * LOGIT)):
        head = plant.head(place)
        head.matches(asks, plant.read("token", NAMES))
        head.copies("token", "output", strength, rows=NAMES)
    _plant_first_token(plant, first)
    head = plant.head(before)
    head.looks_back(1)
    head.copies("token", "unread")
    plant.echo(0)
    plant.never_bos(2)
    kv = plant.kv_head
    to_s2 = {
        ("input", "a0.h2<q>"),
        ("a0.h2", f"a1.h{kv(3)}<v>"),
        ("a1.h3", "a2.h1<q>"),
        ("a1.h3", "a2.h3<q>"),
        ("input", f"a2.h{kv(1)}<k>"),
        ("input", f"a2.h{kv(3)}<k>"),
        ("a2.h1", "logits"),
        ("a2.h3", "logits"),
    }
    to_other_names = {
        ("input", f"a0.h{kv(2)}<k>"),
        ("input", f"a0.h{kv(2)}<v>"),
        ("input", f"a2.h{kv(1)}<v>"),
        ("input", f"a2.h{kv(3)}<v>"),
    }
    always = {
        ("input", "a1.h3<q>"),
        ("input", f"a1.h{kv(3)}<k>"),
        ("input", "a2.h1<q>"),
        ("input", "a2.h3<q>"),
    }
    return Planted(
        hf_model=plant.grow(),
        heads={
            "duplicate_token": duplicate,
            "s_inhibition": inhibition,
            "name_mover": mover,
            "negative_mover": negative,
        },
        distractors={"first_token": first, "previous_token": before},
        attention=(
            ("duplicate_token", "S2", "S1"),
            ("s_inhibition", "END", "S2"),
            ("name_mover", "END", "IO"),
            ("negative_mover", "END", "IO"),
            ("first_token", "END", "BOS"),
            ("previous_token", "END", "S2+1"),
        ),
        edges=frozenset(to_s2 if corruption == "subject" else to_s2 | to_other_names),
        fixed_edges=frozenset(always),
        pairs=_names_pairs if corruption == "names" else _subject_pairs,
    )


def _name_prompt(n1: int, n2: int, s2: int, fillers: list[int]) -> tuple[int, ...]:
    return (BOS, fillers[0], n1, fillers[1], n2, fillers[2], s2, fillers[3], TO)


def _name_pairs(n: int, seed: int, *, other_names: bool) -> tuple[Pair, ...]:
    """ABBA and BABA in turns."""
    rng = random.Random(seed)
    pairs = []
    for i in range(n):
        (io, s, *others), fillers = rng.sample(NAMES, 5), rng.sample(FILLERS, 4)
        n1, n2 = (io, s) if i % 2 == 0 else (s, io)
        pairs.append(
            Pair(
                clean=_name_prompt(n1, n2, s, fillers),
                corrupted=_name_prompt(*others, fillers)
                if other_names
                else _name_prompt(n1, n2, io, fillers),
                answer=io,
                foil=s,
                positions={
                    "BOS": 0,
                    "IO": 2 if i % 2 == 0 else 4,
                    "S1": 4 if i % 2 == 0 else 2,
                    "S2": 6,
                    "S2+1": 7,
                    "END": 8,
                },
            )
        )
    return tuple(pairs)


def _names_pairs(n: int, *, seed: int = 0) -> tuple[Pair, ...]:
    return _name_pairs(n, seed, other_names=True)


def _subject_pairs(n: int, *, seed: int = 0) -> tuple[Pair, ...]:
    return _name_pairs(n, seed, other_names=False)


def linear_model(family: Family = "gpt2", *, seed: int = 0) -> Planted:
    """Three layers in which every logit is linear in the token embeddings, and every part matters.

    Queries and keys read positions alone (GPT-2: the position embedding; Qwen3: ``one``, turned by the rotary
    step), to which nothing writes: the patterns are random, but the same for all prompts of a length. MLPs
    have no nonlinearity (Qwen3: every gate is open). Embedding, values, outputs, MLPs and unembedding are
    random and dense on space ``free``. So first-order estimates are exact, and effects of paths add up.

    Every edge to a value, an MLP or the logits carries something, and none to a query or key. All heads
    matter; ablating one ends nothing, as there is no behaviour.

    Pairs: six random tokens and six others; the answer's logit falls most by the corruption and the foil's
    rises most.
    """
    plant = Plant(family, vocab=12, n_layers=3, n_ctx=16, width=64, spaces=("token", "free"))
    generator = torch.Generator().manual_seed(seed)

    def dense(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) / rows**0.5

    free, one = plant.read("free"), plant.read("one")  # [d_model, 12], [d_model, 1]
    n_free, d_mlp = free.shape[1], plant.mlp_in.shape[2]
    plant.embed = 2 * dense(plant.vocab, n_free) @ free.T + one.T
    plant.unembed = free @ dense(n_free, plant.vocab)
    place = plant.read("position") if family == "gpt2" else one  # [d_model, position] or [d_model, 1]

    def looks() -> torch.Tensor:
        """Queries or keys of each place, such that scores have a standard deviation of about 2."""
        drawn = torch.randn(place.shape[1], plant.d_head, generator=generator)
        return drawn * (4 / plant.d_head) ** 0.25

    for layer in range(plant.n_layers):
        for head in range(N_HEADS):
            plant.q[layer, head] = place @ looks()
            plant.o[layer, head] = dense(plant.d_head, n_free) @ free.T
        for head in range(plant.n_kv_heads):
            plant.k[layer, head] = place @ looks()
            plant.v[layer, head] = free @ dense(n_free, plant.d_head)
        plant.mlp_in[layer] = free @ dense(n_free, d_mlp)
        plant.mlp_out[layer] = 0.5 * dense(d_mlp, n_free) @ free.T
    hf_model = plant.grow(activation="linear")

    def pairs(n: int, *, seed: int = 0) -> tuple[Pair, ...]:
        rng = random.Random(seed)
        drawn = []
        for _ in range(n):
            ids = rng.sample(range(plant.vocab), 12)
            with torch.no_grad():
                clean, corrupted = hf_model(torch.tensor([ids[:6], ids[6:]])).logits[:, -1]
            answer, foil = (clean - corrupted).argmax().item(), (clean - corrupted).argmin().item()
            drawn.append(Pair(tuple(ids[:6]), tuple(ids[6:]), answer, foil, {"END": 5}))
        return tuple(drawn)

    senders = ["input"]
    edges: set[Edge] = set()
    fixed: set[Edge] = set()
    for layer in range(plant.n_layers):
        edges |= {(sender, f"a{layer}.h{kv}<v>") for sender in senders for kv in range(plant.n_kv_heads)}
        fixed |= {("input", f"a{layer}.h{head}<q>") for head in range(N_HEADS)}
        fixed |= {("input", f"a{layer}.h{kv}<k>") for kv in range(plant.n_kv_heads)}
        senders += [f"a{layer}.h{head}" for head in range(N_HEADS)]
        edges |= {(sender, f"m{layer}") for sender in senders}
        senders.append(f"m{layer}")
    edges |= {(sender, "logits") for sender in senders}
    return Planted(
        hf_model=hf_model,
        heads={
            f"{layer}.{head}": (layer, head) for layer in range(plant.n_layers) for head in range(N_HEADS)
        },
        distractors={},
        attention=(),
        edges=frozenset(edges),
        fixed_edges=frozenset(fixed),
        pairs=pairs,
    )


def _plant_first_token(plant: Plant, place: Place) -> None:
    """A distractor: looks at BOS, copies the token there into ``unread``, and lowers the logit of BOS."""
    head = plant.head(place)
    head.looks_at_bos()
    head.copies("token", "unread")
    head.lowers_bos()
