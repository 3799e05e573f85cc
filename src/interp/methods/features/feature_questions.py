"""What `interp.feature_effects` is asked: which prompts, which features are changed where, which metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from interp.answers import AnswerLike, check_at_once
from interp.errors import InputError, check_choice
from interp.methods.common.answers import Measure
from interp.methods.common.intervals import Clusters
from interp.methods.common.pairs import differences
from interp.methods.common.question import check_first_order, prompt_readout
from interp.metrics import METRICS, MetricKind
from interp.models.base import Model
from interp.readout import AnyReadout
from interp.results import Pairs
from interp.tasks.base import PairDataset, pairs_in_words
from interp.tokens import Prompt, Tokens

FeatureChangeKind = Literal["ablate", "noising", "denoising"]
CHANGES: tuple[str, ...] = ("ablate", "noising", "denoising")


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureQuestion:
    """One prompt whose features are changed."""

    model: Model
    base: Tokens  # the prompt of the run that is edited
    donor: Tokens | None  # of the run whose features are taken; None: features become 0
    measure: Measure
    readout: AnyReadout  # the metric of any run, [row]
    places: tuple[tuple[int, ...], ...]  # the positions of each place

    @property
    def key(self) -> dict[str, Any]:
        """What is asked, as JSON values; effects are kept by this."""
        return {
            "model": self.model.identity.to_dict(),
            "base": self.base.row(0),
            "donor": None if self.donor is None else self.donor.row(0),
            "metric": [
                self.measure.metric,
                self.measure.answer.key,
                None if self.measure.foil is None else self.measure.foil.key,
            ],
            "places": [list(where) for where in self.places],
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureQuestions:
    """The questions of all prompts, and what they have in common."""

    each: tuple[FeatureQuestion, ...]
    metric: MetricKind
    places: tuple[str, ...]  # roles; tokens, where there is one prompt
    pairs: Pairs
    clusters: Clusters | None = None  # of prompts that are drawn together


def ask(
    model: Model,
    data: PairDataset | Prompt,
    *,
    answer: AnswerLike | None,
    foil: AnswerLike | None,
    corrupted: Prompt | None,
    change: FeatureChangeKind,
    roles: Sequence[str] | None,
    metric: MetricKind | None,
) -> FeatureQuestions:
    """Check what `interp.feature_effects` was given; `InputError` for what it refuses."""
    check_choice("change", change, CHANGES)
    if metric is not None:
        check_choice("metric", metric, METRICS)
        check_first_order(
            metric, base_is_clean=change != "denoising", instead="change 'denoising' with corrupted prompts"
        )
    if isinstance(data, PairDataset):
        if (answer, foil, corrupted) != (None, None, None):
            raise InputError("A dataset has its own answers and corrupted prompts; give no others.")
        return _of_dataset(model, data, change, roles, metric or "logit_diff")
    if roles is not None:
        raise InputError("Roles are those of a dataset; of one prompt, all positions are looked at.")
    if answer is None:
        raise InputError("A prompt needs its answer, which the metric is about; give it as one token.")
    if (corrupted is None) != (change == "ablate"):
        need = "needs a corrupted prompt" if corrupted is None else "takes no corrupted prompt"
        raise InputError(f"The change {change!r} {need}.")
    measure = Measure.of(model, answer, foil, metric)
    clean = model.to_tokens(data).repeat(1)
    other = None if corrupted is None else model.to_tokens(corrupted).repeat(1)
    if other is not None:
        differences(model, clean, other)
    question = _question(
        model,
        clean=clean,
        corrupted=other,
        measure=measure,
        change=change,
        places=[(position,) for position in range(clean.lengths[0])],
    )
    return FeatureQuestions(
        each=(question,),
        metric=measure.metric,
        places=tuple(model.labels(question.base.row(0))),
        pairs=_pair_in_words(model, clean, other, measure),
    )


def _of_dataset(
    model: Model,
    dataset: PairDataset,
    change: FeatureChangeKind,
    roles: Sequence[str] | None,
    metric: MetricKind,
) -> FeatureQuestions:
    names = dataset.roles if roles is None else tuple(roles)
    if not names:
        raise InputError(f"The pairs of {dataset.name!r} have no roles in common; give pairs with roles.")
    places = zip(*(dataset.positions(role) for role in names), strict=True)  # [pair][role]
    questions = [
        _question(
            model,
            clean=Tokens.pad([pair.clean]),
            corrupted=Tokens.pad([pair.corrupted]),
            measure=Measure.of_pair(pair, metric),
            change=change,
            places=where,
        )
        for pair, where in zip(dataset, places, strict=True)
    ]
    return FeatureQuestions(
        each=tuple(questions),
        metric=metric,
        places=names,
        pairs=pairs_in_words(model, dataset),
        clusters=dataset.clusters,
    )


def _question(
    model: Model,
    *,
    clean: Tokens,
    corrupted: Tokens | None,
    measure: Measure,
    change: FeatureChangeKind,
    places: Sequence[tuple[int, ...]],
) -> FeatureQuestion:
    check_at_once(measure.answer, measure.foil, what="Effects of features")
    base, donor = clean, corrupted
    if change == "ablate":
        donor = None
    elif change == "denoising":
        assert corrupted is not None
        base, donor = corrupted, clean
    return FeatureQuestion(
        model=model,
        base=base,
        donor=donor,
        measure=measure,
        readout=prompt_readout(model, clean, measure),
        places=tuple(places),
    )


def _pair_in_words(model: Model, clean: Tokens, corrupted: Tokens | None, measure: Measure) -> Pairs:
    texts = [model.to_text(one.row(0)) for one in (clean, corrupted) if one is not None]
    return Pairs(
        task=None,
        prompts=(texts[0],),
        corrupted=tuple(texts[1:]),
        answers=(model.answer_label(measure.answer),),
        foils=None if measure.foil is None else (model.answer_label(measure.foil),),
    )
