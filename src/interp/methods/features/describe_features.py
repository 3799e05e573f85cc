"""What is a feature called, and is the name any good?

1. A feature is named by its strongest contexts on the first half of the text, at most one of each sequence,
   and by the logits that it raises directly: by the text's own labels, or by a language model.
2. Contexts of the second half, as many at which the feature is active (evenly spread over its activations by
   rank) as at which it is not, are put before whoever named it with the name alone: is it active at the last
   token? The score is the balanced accuracy.
3. The same contexts are judged by the name of another feature, drawn from those with another name: what a
   name scores that says nothing about this feature.

After delphi's detection, Paulo et al. 2024, https://arxiv.org/abs/2410.13928; there a whole context is
judged, here its last token.

When it misleads: contexts at which a feature is silent are mostly unlike those at which it is active, so that
a vague name scores well; and a name says nothing of what the model does with the feature.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from interp.errors import DecompositionError, InputError, SiteError
from interp.methods.features.describers import ByLabels, Describer, JudgedContext, Shown
from interp.methods.features.description_results import FeatureDescriptionsResult
from interp.methods.features.feature_labels import halves
from interp.methods.features.feature_writers import check_logits, feature_logits, run_for
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Dropped
from interp.saes.descriptions import FeatureDescription
from interp.saes.dictionary import SAE
from interp.saes.metrics import EXCLUDED
from interp.saes.reading import FeatureRecord, check_features

_LEAST = 5  # tokens of the second half at which a feature is active
_RAISED = 10  # logits that are shown


def describe_features(
    model: Model,
    record: FeatureRecord,
    features: Sequence[int],
    describer: Describer | None = None,
    *,
    contexts: int = 10,
    held_out: int = 20,
    before: int = 24,
    seed: int = 0,
) -> FeatureDescriptionsResult:
    """Name features, and score the names.

    Args:
        record: of `interp.record_features`, made with this model.
        describer: who names them: `ByModel` or another of `interp.methods.features.describers`; None: the
            labels of the record's text.
        contexts: how many a feature is named by.
        held_out: how many active ones a name is scored on, at most, beside as many others.
        before: tokens of a context before the one that counts.
        seed: of the silent contexts and of the other names.

    Raises `InputError` for features that are not there, sizes out of range, or a text of one sequence.
    """
    record.sae.check_fits(model)
    check_features(record.n_features, features)
    if contexts < 1 or held_out < _LEAST or before < 0:
        raise InputError(f"contexts must be at least 1, held_out at least {_LEAST}, and before not negative.")
    describer = ByLabels(record) if describer is None else describer
    choose, measure = halves(record)
    draw = np.random.default_rng(seed)
    names: dict[int, str] = {}
    judged: dict[int, tuple[tuple[JudgedContext, ...], np.ndarray]] = {}
    left_out = []
    wanted = tuple(dict.fromkeys(int(feature) for feature in features))
    for number, feature in enumerate(wanted):
        report("names", number, len(wanted))
        tokens, _ = record.of(feature)
        n_chosen, n_measured = (int(half[tokens].sum()) for half in (choose, measure))
        if not n_chosen or n_measured < _LEAST:
            why = f"it is active at {n_chosen} and {n_measured} tokens of the two halves"
            left_out.append(Dropped(f"feature {feature}", f"{why}; the second needs {_LEAST}"))
            continue
        strongest = _strongest(record, feature, choose, contexts)
        shown = Shown(
            feature=feature,
            contexts=_contexts(model, record, strongest, before),
            raised=_raised(model, record, feature, strongest[0]) if describer.reads_logits else (),
        )
        names[feature] = describer.name(shown)
        places, active = _held_out(record, feature, measure, held_out, draw)
        judged[feature] = _contexts(model, record, places, before), active
    described = []
    for number, (feature, label) in enumerate(names.items()):
        report("scores", number, len(names))
        own, active = judged[feature]
        others = sorted(set(names.values()) - {label})
        other = others[int(draw.integers(len(others)))] if others else None
        described.append(
            FeatureDescription(
                feature=feature,
                label=label,
                by=describer.by,
                score=_score(describer, label, own, active),
                shuffled=None if other is None else _score(describer, other, own, active),
                n_contexts=len(own),
            )
        )
    return FeatureDescriptionsResult(
        provenance=Provenance.of(model, seed=seed),
        text=record.text.described,
        excluded=EXCLUDED,
        sae=record.sae.identity,
        by=describer.by,
        descriptions=tuple(described),
        left_out=tuple(left_out),
    )


def _strongest(record: FeatureRecord, feature: int, where: Bool[np.ndarray, " token"], n: int) -> list[int]:
    """The tokens of `where` at which a feature is strongest, at most one of each sequence."""
    tokens, _ = record.of(feature)
    tokens = tokens[where[tokens]]
    sequences = np.searchsorted(record.starts, tokens, side="right") - 1
    _, first = np.unique(sequences, return_index=True)
    return tokens[np.sort(first)[:n]].tolist()


def _held_out(
    record: FeatureRecord,
    feature: int,
    where: Bool[np.ndarray, " token"],
    n: int,
    draw: np.random.Generator,
) -> tuple[list[int], Bool[np.ndarray, " context"]]:
    """Tokens of `where` at which a feature is active, and as many others, mixed; and which are which."""
    tokens, _ = record.of(feature)
    here = tokens[where[tokens]]
    active = here[np.unique(np.linspace(0, len(here) - 1, min(n, len(here))).round().astype(int))]
    silent = np.setdiff1d(np.flatnonzero(where), tokens)
    others = draw.choice(silent, size=min(len(active), len(silent)), replace=False)
    order = draw.permutation(len(active) + len(others))
    is_active = np.arange(len(order)) < len(active)
    return np.concatenate([active, others])[order].tolist(), is_active[order]


def _contexts(
    model: Model, record: FeatureRecord, places: Sequence[int], before: int
) -> tuple[JudgedContext, ...]:
    found = []
    for token in places:
        sequence, position = record.place(token)
        ids = record.text.sequences[sequence][max(position - before, 0) : position + 1]
        found.append(JudgedContext(token=token, tokens=tuple(model.labels(ids))))
    return tuple(found)


def _raised(model: Model, record: FeatureRecord, feature: int, token: int) -> tuple[str, ...]:
    """The tokens whose logits a feature raises most where it is strongest; none where it writes to none
    directly, or of a transcoder."""
    sae = record.sae
    if not isinstance(sae, SAE):
        return ()
    try:
        check_logits(model, sae.address)
        sequence, position = record.place(token)
        ids = list(record.text.sequences[sequence][: position + 1])
        logits = feature_logits(model, sae, feature, run_for(model, sae, ids, writers=False), position)
    except (SiteError, DecompositionError):
        return ()
    return tuple(model.labels(logits.topk(min(_RAISED, len(logits))).indices.tolist()))


def _score(
    describer: Describer,
    label: str,
    contexts: tuple[JudgedContext, ...],
    active: Bool[np.ndarray, " context"],
) -> float | None:
    """The balanced accuracy of a name; None where the answer cannot be read."""
    said = describer.tells(label, contexts)
    if said is None:
        return None
    says = np.array(said, dtype=bool)
    silent = ~active
    right = [float(says[active].mean()), float((~says)[silent].mean()) if silent.any() else 1.0]
    return float(np.mean(right))
