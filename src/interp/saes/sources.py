"""Where a sparse autoencoder or transcoders come from: the package, a folder, or the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from interp import zoo
from interp.errors import InputError
from interp.models.base import Model
from interp.saes.dictionary import SAE
from interp.saes.files import read_sae
from interp.saes.hub_folders import fetched
from interp.saes.releases import CENTRED, hub_place, unknown_release
from interp.saes.transcoder import Transcoders
from interp.saes.transcoder_files import layer_folders, read_transcoders

#: Behind a demo model's name: not its transcoders of one layer each, but its cross-layer transcoder.
CROSS_LAYER = "-cross-layer"
_ON_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?(:(?P<folder>[\w./{}-]+))?")


def load_sae(
    source: str | Path,
    model: Model,
    *,
    scale: float | None = None,
    check_name: bool = True,
    centred: bool | None = None,
    hook_name: str | None = None,
) -> SAE:
    """A dictionary for use with `model`, from wherever it is kept.

    `source` is one of

    - the name of a demo model, "demo-gpt2" or "demo-qwen3": the one that comes with the package;
    - a folder in SAELens's layout, or in that of Gemma Scope, sparsify or dictionary_learning, or a file of
      OpenAI's (`interp.saes.published`);
    - the name of a published one, ``RELEASE/ID``, such as
      "gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82" (`interp.saes.releases`; ``interp saes`` lists
      the releases);
    - a place on the Hugging Face hub, ``org/repo``, ``org/repo:folder`` or ``org/repo@revision:folder``, such
      as "jbloom/GPT2-Small-SAEs-Reformatted:blocks.8.hook_resid_pre". It is fetched once, and found in the
      local cache from then on.

    `scale`, `check_name`, `centred` and `hook_name` are as in `read_sae`, which also says what is refused.
    Raises `InputError` where there is nothing of that name.
    """
    source = _placed(source)
    place = _ON_HUB.fullmatch(str(source))
    if centred is None and place is not None and place["repo"] in CENTRED:
        centred = True
    return read_sae(
        sae_folder(source),
        model,
        scale=scale,
        check_name=check_name,
        centred=centred,
        hook_name=hook_name,
    )


def load_transcoders(source: str | Path, model: Model, *, check_name: bool = True) -> Transcoders:
    """Transcoders of all MLPs for use with `model`, from wherever they are kept.

    `source` is the name of a demo model ("demo-gpt2"; its cross-layer transcoder is "demo-gpt2-cross-layer"),
    a folder, a published name or a place on the hub, as for `load_sae`: one that holds ``layer_0``,
    ``layer_1``, ..., or a cross-layer transcoder; or a pattern with ``{layer}``, such as
    "gemma-scope-2-270m-pt-transcoders-all/layer_{layer}_width_16k_l0_small".

    `check_name` is as in `interp.saes.transcoder_files.read_transcoders`, which also says what is refused.
    Raises `InputError` where there is nothing of that name.
    """
    return read_transcoders(_folder(source, "transcoders"), model, check_name=check_name)


def sae_folder(source: str | Path) -> Path:
    """The folder that a source names (or file, of OpenAI's), fetched from the hub where need be. `InputError`
    as `load_sae`."""
    return _folder(source, "sae")


def transcoder_folder(source: str | Path, layer: int) -> Path:
    """The folder of one layer's transcoder. `InputError` where there is none."""
    folders = layer_folders(_folder(source, "transcoders"))
    if not 0 <= layer < len(folders):
        raise InputError(f"{str(source)!r} has transcoders of {len(folders)} layers, from 0; not of {layer}.")
    return folders[layer]


def _placed(source: str | Path) -> str | Path:
    """The place on the hub of a published name; anything else, a folder of that name too, as it is."""
    here = Path(str(source).replace("{layer}", "0"))
    return source if source in zoo.NAMES or here.exists() else hub_place(str(source))


def _in_package(name: str, what: str) -> Path | None:
    """The folder of a demo model's, where this is the name of one."""
    if what == "transcoders" and name.endswith(CROSS_LAYER):
        name, what = name.removesuffix(CROSS_LAYER), "cross_layer"
    return zoo.path(name) / what if name in zoo.NAMES else None


def _folder(source: str | Path, what: str) -> Path:
    """The folder of `source`; ``sae``, ``transcoders`` or ``cross_layer`` within a demo model."""
    named = {"sae": "SAE", "transcoders": "set of transcoders"}[what]
    packaged = _in_package(str(source), what)
    if packaged is not None:
        return packaged
    if Path(str(source).replace("{layer}", "0") if what == "transcoders" else source).is_dir():
        return Path(source)
    if Path(source).is_file() and what == "sae":
        return Path(source)
    if Path(source).is_file():
        raise InputError(
            f"{str(source)!r} is a file; give the folder that holds the {named}'s configuration and weights."
        )
    place = _ON_HUB.fullmatch(str(_placed(source)))
    if place is None:
        hint = unknown_release(str(source))
        raise InputError(
            f"There is no {named} {str(source)!r}; {f'{hint} Otherwise ' if hint else ''}give a folder, a "
            "published name (`interp saes` lists the releases), a place on the hub as org/repo:folder, or "
            f"one of {', '.join(zoo.NAMES)}."
        )
    return fetched(place["repo"], place["revision"], place["folder"] or "")
