"""From a name, a folder, a file or a model in memory to a `Model`: the one way in.

Nothing falls back in silence, neither to another device nor to another layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from torch import nn
from transformers import PreTrainedTokenizerBase

from interp.errors import ModelLoadError, how_to_install, nearest
from interp.models.base import Model
from interp.models.devices import DTYPES, find_device, find_dtype
from interp.models.hooked_transformer import is_hooked_transformer, load_hooked_transformer
from interp.models.in_memory import owners_device
from interp.models.layouts import Layout, find_layout
from interp.models.modes import outside_inference_mode
from interp.models.packed_weights import packed_by, packing_options
from interp.models.places import DeviceMap, check_in_places, first_device, loading_options
from interp.models.quick_products import with_quick_products
from interp.models.self_check import require
from interp.models.self_check import self_check as run_self_check
from interp.models.sources import from_memory, from_name
from interp.models.token_names import NamedTokens, TokenNames, tokenizer_of
from interp.progress import report
from interp.tokens import bos_id

Backend = Literal["transformers", "transformer_lens", "nnsight"]
Remote = bool | Literal["local"]
Packing = Literal["torchao-int8", "bitsandbytes-int8", "bitsandbytes-nf4"]
PROCESSING = ("none", "folded")

#: Each backend's module, its class, and the extra that it needs.
BACKENDS: dict[str, tuple[str, str, str | None]] = {
    "transformers": ("interp.models.transformers_backend", "TransformersModel", None),
    "transformer_lens": ("interp.models.transformer_lens_backend", "TransformerLensModel", "tl"),
    "nnsight": ("interp.models.nnsight_backend", "NNsightModel", "nnsight"),
}


@outside_inference_mode
def load_model(
    model: str | Path | nn.Module,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    token_names: TokenNames | None = None,
    backend: Backend = "transformers",
    device: str = "auto",
    dtype: str = "float32",
    bos: Literal["auto", True, False] = "auto",
    name: str | None = None,
    revision: str | None = None,
    processing: Literal["none", "folded"] = "none",
    layout: Layout | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    self_check: bool = True,
    memory: float | None = None,
    remote: Remote = False,
    device_map: DeviceMap | None = None,
    tp_plan: Literal["auto"] | None = None,
    quantisation: Packing | None = None,
    offload_folder: str | Path | None = None,
    max_memory: Mapping[int | str, int | str] | None = None,
) -> Model:
    """Load a model for looking into.

    Args:
        model: a short name (``interp models`` lists them), any Hugging Face id, a local folder, a GGUF
            file (or ``ollama:NAME``, a model that Ollama keeps on this disk), or a causal language model
            that is already in memory: of transformers, also under PEFT's adapters or torch.compile, or a
            HookedTransformer of TransformerLens. It is run in evaluation mode and otherwise left as it is.
        tokenizer: for a model in memory. Without one, and without names, prompts and answers are token ids.
        token_names: what its tokens are called, for a model without a tokenizer: a list in the order of their
            ids, a mapping, or the path of either (`interp.models.token_names`). A folder may hold them as
            ``token_names.json``.
        backend: ``transformers`` (default), ``transformer_lens`` or ``nnsight``. A HookedTransformer is read
            through its own hook points, with the weights that it has, and counts as ``transformer_lens``.
        device: ``auto`` is CUDA or Apple's MPS where there is one, else the CPU. A device that is
            named and absent is an error. A model in memory stays on the device that it is on.
        dtype: float32, float64, bfloat16 or float16; or ``auto``, which is bfloat16 where the device
            multiplies it in hardware, else float32 (``interp models --check`` says how far that is off). For
            a model in memory it must be the one that the model has, as ``auto`` then is; nothing is
            converted behind its owner's back.
        bos: ``auto`` puts the tokenizer's beginning-of-sequence token in front of text where it has
            one. The same on every backend, and recorded in every result.
        name: what results call a model in memory; they keep the hash of its weights beside it, so after
            training it further, load it anew.
        revision: a branch, tag or commit of a Hugging Face id.
        processing: ``folded`` lets TransformerLens fold the norms and centre the weights; other
            backends refuse it.
        layout: where an architecture that is not in the table keeps its parts.
        trust_remote_code, allow_pickle: run the repository's own code; read pickled weights. Both
            can run anything, so both must be asked for.
        self_check: run a few tokens through the model and hold its activations to what they must
            satisfy (`interp.models.self_check`); without it, every result records that it was skipped.
        memory: how many GB a sweep may take for what it computes at once; by default half of what is free.
        remote: with backend="nnsight", run on somebody else's machine: True is NDIF (https://ndif.us; key in
            ``NDIF_API_KEY``) or the server that ``NDIF_HOST`` names; "local" is nnsight's simulation of one,
            on weights that are loaded here. Of the model itself, configuration and tokenizer are fetched
            alone. Activations come back on the CPU, in the server's precision (`interp.models.remote`).
        device_map: for a model that does not fit one device, by its name: "auto", or a device for each of its
            parts, such as ``{"model.embed_tokens": 0, ..., "lm_head": "cpu"}``, also ``"disk"`` with an
            `offload_folder` for what goes there. Needs accelerate (extra `devices`).
        max_memory: with device_map="auto", what each device may hold, as accelerate takes it.
        quantisation: pack the weights in few bits as they are loaded: "torchao-int8", "bitsandbytes-int8" or
            "bitsandbytes-nf4" (extra `quantised`); what each rounds, `interp.models.packed_weights` says. A
            model that was saved, or is in memory, so packed is taken as it is.
        tp_plan: "auto" cuts the matrices of a model over the processes that torchrun has started, by the plan
            that transformers has for it (`interp.models.shards`); each runs the same program, and gets the
            same results.

    Raises:
        ModelLoadError: an unknown name, a model that is not reachable, an architecture that is not in
            the table, a missing backend, a device or dtype that is not there, a failed self-check.
    """
    given = dict(locals())
    _check_choices(backend, dtype, processing, memory)
    backend_class = _backend_class(backend)
    if remote:
        _check_remote(model, backend, given)
    if token_names is not None:
        if tokenizer is not None:
            raise ModelLoadError("A model has a tokenizer or names of its tokens; give one of them.")
        tokenizer = tokenizer_of(token_names)
    if remote:
        loaded = _remote(model, tokenizer, given)
        return _checked(loaded, memory=memory, self_check=self_check)
    if is_hooked_transformer(model):
        hooked = load_hooked_transformer(
            model, tokenizer, name=name, device=device, dtype=dtype, bos=bos,
            given={"backend": backend == "nnsight", "processing": processing != "none", "layout": layout},
        )  # fmt: skip
        hooked.loaded_from = given
        return _checked(hooked, memory=memory, self_check=self_check)
    asked = None if device == "auto" else find_device(device)
    report("loading", 0, 2)
    if isinstance(model, str | Path):
        if name is not None:
            raise ModelLoadError(f"name={name!r} is for a model in memory; {str(model)!r} goes by its own.")
        torch_device = asked or find_device(device)
        torch_dtype = find_dtype(dtype, torch_device)
        places: dict[str, Any] | None = None
        if quantisation is not None:
            if backend != "transformers" or tp_plan is not None:
                raise ModelLoadError("quantisation goes with backend='transformers', and not with tp_plan.")
            places = packing_options(quantisation, torch_dtype) | {"device_map": {"": str(torch_device)}}
        if device_map is not None or tp_plan is not None:
            _check_one_place(backend, device, device_map, tp_plan)
        if device_map is not None:
            lie = loading_options(device_map, offload_folder=offload_folder, max_memory=max_memory)
            places = (places or {}) | lie
        source = from_name(
            str(model),
            tokenizer,
            revision=revision,
            dtype=torch_dtype,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            places=places,
            tp_plan=tp_plan,
        )
        hf_model = source.hf_model.eval()
        if device_map is not None:
            check_in_places(hf_model, device_map)
            torch_device = first_device(hf_model)
        elif tp_plan is not None or packed_by(hf_model) is not None:
            torch_device = hf_model.device
        else:
            hf_model = hf_model.to(torch_device)
        if tp_plan is None and packed_by(hf_model) is None:
            with_quick_products(hf_model)
    else:
        for what in ("device_map", "tp_plan", "quantisation"):
            if given[what] is not None:
                raise ModelLoadError(f"A model in memory stays as it is; {what} is for one by its name.")
        source = from_memory(model, tokenizer, name=name, revision=revision, dtype=dtype)
        hf_model = source.hf_model
        torch_device = owners_device(hf_model, asked)
        torch_dtype = hf_model.dtype if dtype == "auto" else find_dtype(dtype, torch_device)
    loaded = backend_class(
        hf_model,
        layout=layout or find_layout(hf_model),
        tokenizer=source.tokenizer,
        name=source.name,
        revision=source.revision,
        device=torch_device,
        dtype=torch_dtype,
        bos_id=bos_id(source.tokenizer, bos),
        processing=processing,
    )
    packed = packed_by(hf_model)
    quantised = source.quantisation if packed is None else f"packed by {packed}"
    loaded.identity = replace(loaded.identity, quantisation=quantised, weights=source.weights)
    loaded.loaded_from = given
    return _checked(loaded, memory=memory, self_check=self_check)


def _check_remote(model: object, backend: str, given: Mapping[str, Any]) -> None:
    """Refuse what does not go with a model on another machine."""
    if given["remote"] not in (True, "local"):
        raise ModelLoadError(
            f"remote is True or 'local', not {given['remote']!r}; another server than NDIF's is named by "
            "NDIF_HOST."
        )
    if backend != "nnsight":
        raise ModelLoadError(f"remote goes with backend='nnsight'; {backend} runs what is here.")
    if not isinstance(model, str | Path):
        raise ModelLoadError("A model in memory runs here; a remote one goes by its name.")
    usual = {"device": "auto", "processing": "none", "allow_pickle": False}
    usual |= dict.fromkeys(("name", "device_map", "tp_plan", "quantisation"))
    for key, value in usual.items():
        if given[key] != value:
            raise ModelLoadError(f"With remote, {key} is the server's to choose; leave it out.")


def _remote(model: object, tokenizer: PreTrainedTokenizerBase | None, given: Mapping[str, Any]) -> Model:
    """The model on another machine."""
    from interp.models.remote.model import load_remote

    report("loading", 0, 2)
    keys = ("remote", "revision", "trust_remote_code", "bos", "layout", "dtype")
    loaded = load_remote(str(model), tokenizer, **{key: given[key] for key in keys})
    loaded.loaded_from = given
    return loaded


def _checked(loaded: Model, *, memory: float | None, self_check: bool) -> Model:
    """The model, held to what must be true of it."""
    _check_vocabulary(loaded)
    if memory is not None:
        loaded.memory = int(memory * 1e9)
    report("loading", 1, 2)
    if self_check:
        require(run_self_check(loaded), loaded)
        loaded.identity = replace(loaded.identity, self_check="passed")
    report("loading", 2, 2)
    return loaded


def _check_choices(backend: str, dtype: str, processing: str, memory: float | None) -> None:
    """Refuse what no model can be loaded with."""
    choices = (
        ("backend", backend, BACKENDS),
        ("dtype", dtype, DTYPES),
        ("processing", processing, PROCESSING),
    )
    for kind, value, valid in choices:
        if value not in valid:
            raise ModelLoadError(f"Unknown {kind} {value!r}; {nearest(str(value), valid)}")
    if processing == "folded" and backend != "transformer_lens":
        raise ModelLoadError(
            "processing='folded' needs backend='transformer_lens'; the others run raw weights."
        )
    if memory is not None and not memory > 0:
        raise ModelLoadError(f"memory is a number of GB above 0, not {memory!r}.")


def _check_one_place(backend: str, device: str, device_map: DeviceMap | None, tp_plan: str | None) -> None:
    """Refuse what does not go with a model in several places."""
    what = "A device_map" if tp_plan is None else "tp_plan"
    if backend != "transformers":
        raise ModelLoadError(f"{what} goes with backend='transformers'; {backend} has one copy in one place.")
    if device_map is not None and tp_plan is not None:
        raise ModelLoadError(
            "Give a device_map, which lays layers out, or tp_plan, which cuts them, not both."
        )
    if device != "auto":
        does = (
            "a device_map that names one for each part" if tp_plan is None else "tp_plan, which has its own"
        )
        raise ModelLoadError(f"Give a device, or {does}, not both.")


def _check_vocabulary(model: Model) -> None:
    """Refuse names of tokens that the model has no room for."""
    tokenizer, rows = model.tokenizer, max(model.arch.d_vocab, model.arch.d_vocab_in)
    if isinstance(tokenizer, NamedTokens) and (last := max(tokenizer.vocab.values())) >= rows:
        raise ModelLoadError(
            f"A token {tokenizer.decode([last])!r} of id {last} is named, but the model has {rows} tokens; "
            "are these the names of another model?"
        )


def _backend_class(backend: str) -> Callable[..., Model]:
    """The class of a backend, imported only when asked for."""
    module, name, extra = BACKENDS[backend]
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if extra is None:
            raise
        raise ModelLoadError(
            f"The {backend} backend is not installed ({error.name} is missing); "
            f"run: {how_to_install(extra)}; or use backend='transformers'."
        ) from None
