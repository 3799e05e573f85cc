"""Lenses: a reading by the plain and the tuned lens was [lens, layer] arrays; it is two readings now, and
results describe their lens."""

from __future__ import annotations

from interp.format_1 import Fields, upgraded

_PLAIN = "the model's own final norm and unembedding"
_TUNED = "an affine translator for each layer but the last"
_BY_LENS = ("answer_prob", "answer_rank", "entropy", "kl_to_final", "top_ids", "top_probs", "top_tokens")


def _logit_lens(values: Fields) -> Fields:
    lens = values.get("lens", "plain")
    return {**values, "lens_description": _PLAIN if lens == "plain" else _TUNED}


def _tuned_lens(values: Fields) -> Fields:
    made_for = values.pop("lens_model")
    arrays = {name: values.pop(name) for name in _BY_LENS}
    provenance = {name: value for name, value in values["provenance"].items() if name != "kind"}
    shared = {**values, "provenance": provenance, "one_position": True, "site": "resid"}
    shared["positions"] = [shared.pop("position")]

    def reading(row: int, lens: str, description: str) -> Fields:
        own = {name: array[row] for name, array in arrays.items()}
        found = upgraded({"kind": "logit_lens", **shared, **own, "lens": lens})
        return {**found, "lens_description": description}

    return {
        "provenance": values["provenance"],
        "plain": reading(0, "plain", _PLAIN),
        "tuned": reading(1, "tuned", _trained_for(made_for)),
    }


def _lens_quality(values: Fields) -> Fields:
    made_for = values.pop("lens_model")
    return {**values, "lenses": ["plain", "tuned"], "lens_description": _trained_for(made_for)}


def _trained_for(model: str) -> str:
    return f"{_TUNED}, trained for {model}"


CHANGES = {
    "logit_lens": _logit_lens,
    "tuned_lens": _tuned_lens,
    "lens_quality": _lens_quality,
    "contrast": _logit_lens,
}
