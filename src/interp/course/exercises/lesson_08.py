"""Exercises of lesson 08: sparse autoencoders."""

from __future__ import annotations

from interp.course.checking import Exercise
from interp.course.kinds import Number
from interp.errors import InputError
from interp.methods.features.results import SAEFeaturesResult
from interp.methods.features.sae_features import sae_features
from interp.models.base import Model
from interp.readout import Readout
from interp.saes.dictionary import SAE
from interp.saes.edits import feature_edit
from interp.saes.sources import load_sae
from interp.zoo import NAMES

PROMPT = "The capital of France is"


def packaged(model: Model) -> SAE:
    if model.identity.name not in NAMES:
        raise InputError(f"These exercises need an SAE of the package; load {' or '.join(NAMES)}.")
    return load_sae(model.identity.name, model)


def features(model: Model) -> SAEFeaturesResult:
    return sae_features(model, packaged(model), PROMPT)


def active_at_the_end(model: Model) -> int:
    return int(features(model).n_active[-1])


def strongest_at_the_end(model: Model) -> int:
    return int(features(model).features[-1, 0])


def lost_without_it(model: Model) -> float:
    edit = feature_edit(packaged(model), "ablate", [strongest_at_the_end(model)], positions=-1)
    paris, tokyo = map(model.to_single_token, (" Paris", " Tokyo"))
    readout = Readout.logit_diff(paris, tokyo)
    return (readout(model.forward(PROMPT, [edit])) - readout(model.forward(PROMPT))).item()


EXERCISES = (
    Exercise(
        asks=Number(0),
        answer=active_at_the_end,
        hint="`interp.sae_features(...).n_active` has a number for each position.",
    ),
    Exercise(
        asks=Number(0),
        answer=strongest_at_the_end,
        hint="`features` of the result is [position, rank], the strongest first.",
    ),
    Exercise(
        asks=Number(1),
        answer=lost_without_it,
        hint="Compare the metric with `interp.feature_edit(sae, 'ablate', [...], positions=-1)` and without.",
    ),
)
