"""A transformer compiled by hand that repairs itself: ground truth for what single ablations do not show.

As `compiled.py`, on GPT-2's layout (an axis for each position, by which what is looked at is told exactly).
"""

from __future__ import annotations

from compiled import LOGIT, Edge, Place, Planted, _copy_pairs, _plant_first_token
from planting import BOS, Plant

SINK = 1000.0  # the norm of BOS behind the first MLP is about 1.4 times as much; elsewhere about 3
PRINCIPAL: Place = (1, 2)
BACKUP: Place = (2, 1)
INHIBITION: Place = (0, 3)
WHOLE = LOGIT / 2  # the logit difference, and that without the principal


def self_repair_model(*, sink: float = SINK) -> Planted:
    """Three layers: the token before the last comes again, and three things get in the way of seeing why.

    0.3, inhibition head: looks one back, and copies ``token`` there to ``inhibit``.
    1.2, principal: looks one back (12), or at BOS (7.2); an inhibited key scores 4.8 less, so that it pays
    half of its attention to each. It copies ``token`` to ``output``: half of `LOGIT`; without 0.3, all.
    2.1, backup: looks one back (12), or at the sink (24), as far as anything stands in ``output`` (24 for
    half of `LOGIT`). It copies half of `LOGIT` where the principal has written nothing, and else nothing.
    MLP 0 writes `sink` to a space of its own at BOS, and nothing of use: it is where the backup rests.

    Logit difference, in units of `LOGIT`: 1/2. Zero-ablating the principal: 1/2, as the backup takes over;
    the backup: 1/2; both: 0. Zero-ablating the inhibition head: 1; it writes nothing that the logits read, so
    that its direct attribution is 0. MLP 0: 1/2, but 1 where position 0 is ablated, too.

    Patching the principal from the corrupted run does not wake the backup, since something stands in
    ``output`` all the same: interchange sees what zeros do not.

    Distractors: 0.0 looks at BOS; it and MLP 0 copy ``token`` to ``unread``. Pairs: as `copy_previous_model`.
    """
    spaces = ("token", "inhibit", "output", "unread", "sink")
    plant = Plant("gpt2", vocab=32, n_layers=3, n_ctx=16, width=256, spaces=spaces, sharp=12.0)
    tokens = [token for token in range(plant.vocab) if token != BOS]
    head = plant.head(INHIBITION)
    head.looks_back(1)
    head.copies("token", "inhibit", rows=tokens)
    head = plant.head(PRINCIPAL)
    head.looks_back(1)
    head.looks_at_bos(0.6)
    head.matches(-0.4 * plant.sharp * plant.read("inhibit", tokens), plant.read("token", tokens))
    head.copies("token", "output", LOGIT, rows=tokens)
    head = plant.head(BACKUP)
    head.looks_back(1)
    written = plant.read("output", tokens).sum(1, keepdim=True) / LOGIT
    at_sink = plant.read("sink", [0])
    head.matches(4 * plant.sharp * written, at_sink / sink)
    head.copies("token", "output", LOGIT / 2, rows=tokens)
    _plant_first_token(plant, (0, 0))
    plant.echo(0)
    plant.mlp_in[0, :, plant.vocab] = 10 * plant.read("token", [BOS])[:, 0]
    plant.mlp_out[0, plant.vocab] = sink / 10 * at_sink[:, 0]
    plant.never_bos(2)
    fixed: set[Edge] = {
        ("input", "a0.h3<q>"),
        ("input", "a0.h3<k>"),
        ("input", "a1.h2<q>"),
        ("input", "a2.h1<q>"),
        ("input", "a2.h1<k>"),
        ("m0", "a2.h1<k>"),
        ("a1.h2", "a2.h1<q>"),
    }
    return Planted(
        hf_model=plant.grow(),
        heads={"inhibition": INHIBITION, "principal": PRINCIPAL, "backup": BACKUP},
        distractors={"first_token": (0, 0)},
        attention=(("inhibition", "END", "BEFORE"), ("backup", "END", "BOS"), ("first_token", "END", "BOS")),
        edges=frozenset(
            {
                ("input", "a0.h3<v>"),
                ("a0.h3", "a1.h2<q>"),
                ("input", "a1.h2<k>"),
                ("input", "a1.h2<v>"),
                ("a1.h2", "logits"),
            }
        ),
        fixed_edges=frozenset(fixed),
        pairs=_copy_pairs,
    )
