"""Which format a dictionary has, by the files that are there, and what reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from interp.errors import InputError
from interp.models.base import Model
from interp.saes.layout import CONFIG, WEIGHTS, read_parts
from interp.saes.published import circuit_tracer, dictionary_learning, gemma_scope, openai, sparsify
from interp.saes.published.modules import the_hook
from interp.saes.weight_files import Config, WeightsByName

Reader = Callable[[Path, Model, str | None], tuple[Config, WeightsByName]]


def _sae_lens(folder: Path, model: Model, hook_name: str | None) -> tuple[Config, WeightsByName]:
    config, weights = read_parts(folder)
    hook = the_hook(config.get("hook_name"), hook_name, what=f"The dictionary in {str(folder)!r}")
    return {**config, "hook_name": hook}, weights


#: By the files that a folder of it holds.
_READERS: dict[tuple[str, ...], Reader] = {
    (CONFIG, WEIGHTS): _sae_lens,
    (sparsify.CONFIG, sparsify.WEIGHTS): sparsify.read,
    (dictionary_learning.CONFIG, dictionary_learning.WEIGHTS): dictionary_learning.read,
    (gemma_scope.ARRAYS,): gemma_scope.read_first,
    (gemma_scope.CONFIG, gemma_scope.SAFE): gemma_scope.read_second,
}


#: By a file that a folder of it holds: what is no dictionary of one site, and what to do about it.
_REFUSED = {
    circuit_tracer.ENCODER.format(layer=0): "a cross-layer transcoder, and no SAE; interp.load_transcoders "
    "reads it",
    gemma_scope.CROSS_LAYER.format(layer=0): "a cross-layer transcoder or a crosscoder of Gemma Scope 2, and "
    "no SAE; interp.load_transcoders reads the first",
    "latest_ckpt.safetensors": "a temporal SAE, which is not supported, as its features depend on the tokens "
    "before",
}


def read_any(place: Path, model: Model, hook_name: str | None) -> tuple[Config, WeightsByName]:
    """The dictionary in a folder, or in a file of OpenAI's, in the terms of SAELens.

    Raises `InputError` where there is none, and what reading a damaged one raises
    (`interp.saes.weight_files.UNREADABLE`).
    """
    if place.is_file():
        if place.suffix != openai.SUFFIX:
            raise InputError(
                f"{str(place)!r} is a file; give the folder that holds the SAE, or a {openai.SUFFIX} file of "
                "OpenAI's."
            )
        return openai.read(place, model, hook_name)
    for files, read in _READERS.items():
        if all((place / name).is_file() for name in files):
            return read(place, model, hook_name)
    for file, what in _REFUSED.items():
        if (place / file).is_file():
            raise InputError(f"{str(place)!r} holds {what}.")
    formats = "; ".join(" and ".join(files) for files in _READERS)
    raise InputError(f"There is no SAE in {str(place)!r}: it holds none of {formats}.")
