"""What was read of models and is kept for the next question about the same prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from interp.methods.lens.columns import LensReadings
    from interp.methods.lens.lens import Lens
    from interp.models.base import Model

MODELS = 2  # of which readings are kept, those that were asked last
_KEPT: WeakKeyDictionary[Model, LensReadings] = WeakKeyDictionary()  # the last used comes last
_LENSES: WeakKeyDictionary[Model, dict[Any, Lens]] = WeakKeyDictionary()


def kept_of(model: Model) -> LensReadings:
    """What lenses have read of a model. It goes with the model, and with other models' coming."""
    from interp.methods.lens.columns import LensReadings

    kept = _KEPT.pop(model, None) or LensReadings()
    _KEPT[model] = kept
    for other in list(_KEPT)[:-MODELS]:
        _KEPT.pop(other, None)
    return kept


def lens_of(model: Model, name: str) -> Lens:
    """The lens of a name or place, loaded once: what it has read is kept for itself alone."""
    from interp.methods.lens.sources import load_lens

    place, lenses = Path(name), _LENSES.setdefault(model, {})
    key = name, place.stat().st_mtime_ns if place.exists() else None
    if key not in lenses:
        lenses[key] = load_lens(name, model)
    return lenses[key]
