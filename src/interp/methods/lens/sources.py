"""Where a lens comes from: its name, the package, or a place on disk. One resolver for all readings."""

from __future__ import annotations

import json
import re
from pathlib import Path

from interp import zoo
from interp.errors import InputError
from interp.files import read_text
from interp.methods.lens.files import CONFIG
from interp.methods.lens.jacobian_files import LENS_TYPE as JACOBIAN
from interp.methods.lens.jacobian_lens import JacobianLens
from interp.methods.lens.lens import Lens, PlainLens
from interp.methods.lens.patchscope import TOKEN_IDENTITY, Patchscope
from interp.methods.lens.tuned_lens import TunedLens
from interp.models.base import Model

#: A lens, its name, or the place where it was saved.
AnyLens = Lens | str | Path

#: What the names of fitted lenses lead to in the folder of a model that comes with the package.
SHIPPED: dict[str, str] = {"tuned": "tuned_lens", "jacobian": "jacobian_lens"}
#: What makes one: the experiment, and what it is fitted by.
_MADE_BY = {"tuned": "train_tuned_lens", "jacobian": "train_jacobian_lens"}
_CONTEXT = "patchscope:"
_ON_HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?:[\w./-]+\.pt")
_LARGEST_CONFIG = 1e6  # bytes


def load_lens(lens: AnyLens, model: Model, *, check: bool = True) -> Lens:
    """The lens of a name or place, for use with `model`.

    `lens` is one of

    - ``logit``: the model's own final norm and unembedding;
    - ``tuned`` or ``jacobian``: the fitted lens that comes with the package for this model
      (`lens_names` says which there are);
    - ``patchscope``: the model's own remaining layers behind a neutral context, with nothing fitted;
      ``patchscope:TEXT`` takes another context (`interp.methods.lens.patchscope`);
    - a place that holds a saved lens of whichever kind: a folder, a file of the Jacobian lens's reference
      implementation, or such a file on the hub, ``org/repo:path/to/lens.pt``;
    - a lens itself, which is checked and returned.

    Raises `InputError` where there is no such lens, or it was made for another model. With `check` False, a
    saved lens that does not record its unembedding is taken to be this model's.
    """
    found = _found(lens, model, check=check)
    found.check_fits(model)
    return found


def lens_names(model: Model) -> tuple[str, ...]:
    """The names that `load_lens` takes for a model: those that need nothing (a patchscope's context is text,
    so it needs a tokenizer), and the fitted ones that come with the package for it."""
    fitted = [name for name in SHIPPED if _shipped(name, model) is not None]
    return ("logit", *fitted, *(() if model.tokenizer is None else ("patchscope",)))


def _found(lens: AnyLens, model: Model, *, check: bool) -> Lens:
    if isinstance(lens, Lens):
        return lens
    name = str(lens)
    if name == "logit":
        return PlainLens()
    if name == "patchscope":
        return Patchscope()
    if name.startswith(_CONTEXT):
        return Patchscope(context=name.removeprefix(_CONTEXT) or TOKEN_IDENTITY)
    if name not in SHIPPED:
        return _saved(Path(lens), model, check=check)
    folder = _shipped(name, model)
    if folder is None:
        raise InputError(
            f"No {name} lens comes with the package for {model.identity.name!r}; make one with `interp run "
            f"{_MADE_BY[name]} --model {model.identity.name} --set save_to=FOLDER`, and give that folder."
        )
    return _saved(folder, model, check=check)


def _shipped(name: str, model: Model) -> Path | None:
    """The folder of a fitted lens that comes with the package; None where there is none for this model."""
    if model.identity.name not in zoo.NAMES:
        return None
    folder = zoo.path(model.identity.name) / SHIPPED[name]
    return folder if folder.is_dir() else None


def _saved(place: Path, model: Model, *, check: bool) -> Lens:
    """A saved lens of whichever kind, or a Jacobian lens on the hub."""
    if not place.exists() and not _ON_HUB.fullmatch(str(place)):
        names = ", ".join(lens_names(model))
        raise InputError(f"There is no lens {str(place)!r}; give {names}, or a place that holds one.")
    kind: type[TunedLens | JacobianLens] = TunedLens if _is_tuned(place) else JacobianLens
    return kind.load(place, model, check=check)


def _is_tuned(place: Path) -> bool:
    """Whether a place holds a tuned lens; anything that is not a folder is a file of a Jacobian lens."""
    if not place.is_dir():
        return False
    try:
        config = json.loads(read_text(place / CONFIG, largest=_LARGEST_CONFIG, error=InputError))
    except (FileNotFoundError, ValueError, RecursionError):
        return True  # whose reader says what is wrong
    return not isinstance(config, dict) or config.get("lens_type") != JACOBIAN
