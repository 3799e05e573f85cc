"""From a name, a folder or a model in memory to a `Model`: the one way in.

Weights are loaded by transformers, once, whatever the backend: safetensors only, no remote code
unless asked for by name. Nothing falls back in silence, neither to another device nor to another layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from interp.errors import ModelLoadError, first_line, how_to_install, nearest
from interp.progress import report

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from interp.models.base import Model
    from interp.models.layouts import Layout

Backend = Literal["transformers", "transformer_lens", "nnsight"]
BACKENDS: tuple[str, ...] = ("transformers", "transformer_lens", "nnsight")
_PACKAGED = Path(__file__).parents[1] / "zoo"
DTYPES = ("float32", "float64", "bfloat16", "float16")

#: Transformers loads under switches of the whole process: of two models that load at once, neither is whole.
_loading = Lock()


@dataclass(frozen=True)
class Known:
    """A model that goes by a short name: its Hugging Face id, or a folder in the package."""

    name: str
    source: str
    about: str


def _known() -> dict[str, Known]:
    models = [
        Known("demo-gpt2", str(_PACKAGED / "demo-gpt2"), "small trained GPT-2, in the package"),
        Known("demo-qwen3", str(_PACKAGED / "demo-qwen3"), "small trained Qwen3, in the package"),
        Known("gpt2", "openai-community/gpt2", "GPT-2 small, 124 M"),
        Known("gpt2-medium", "openai-community/gpt2-medium", "GPT-2, 355 M"),
        Known("gpt2-large", "openai-community/gpt2-large", "GPT-2, 774 M"),
        Known("gpt2-xl", "openai-community/gpt2-xl", "GPT-2, 1.5 B"),
    ]
    for size in ("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"):
        models.append(Known(f"pythia-{size}", f"EleutherAI/pythia-{size}", f"Pythia, {size.upper()}"))
    for size in ("0.6B", "1.7B", "4B", "8B"):
        models.append(Known(f"qwen3-{size.lower()}", f"Qwen/Qwen3-{size}", f"Qwen3, {size}"))
    return {model.name: model for model in models}


KNOWN: dict[str, Known] = _known()


def is_local(known: Known) -> bool:
    """Whether the weights can be loaded without a download: in the package, or in the local cache."""
    packaged = Path(known.source)
    return (packaged / "model.safetensors").is_file() if packaged.is_absolute() else _in_cache(known.source)


def load_model(
    model: str | Path | PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    backend: Backend = "transformers",
    device: str = "auto",
    dtype: str = "float32",
    bos: Literal["auto", True, False] = "auto",
    revision: str | None = None,
    processing: Literal["none", "folded"] = "none",
    layout: Layout | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    self_check: bool = True,
    memory: float | None = None,
) -> Model:
    """Load a model for looking into.

    Args:
        model: a short name (``interp models`` lists them), any Hugging Face id, a local folder, or a
            causal language model that is already in memory.
        tokenizer: for a model in memory; without one, prompts and answers are token ids.
        backend: ``transformers`` (default), ``transformer_lens`` or ``nnsight``.
        device: ``auto`` is CUDA or Apple's MPS where there is one, else the CPU. A device that is
            named and absent is an error.
        dtype: float32, float64, bfloat16 or float16. For a model in memory it must be the one that the
            model has; nothing is converted behind its owner's back.
        bos: ``auto`` puts the tokenizer's beginning-of-sequence token in front of text where it has
            one. The same on every backend, and recorded in every result.
        revision: a branch, tag or commit of a Hugging Face id.
        processing: ``folded`` lets TransformerLens fold the norms and centre the weights; other
            backends refuse it.
        layout: where an architecture that is not in the table keeps its parts.
        trust_remote_code, allow_pickle: run the repository's own code; read pickled weights. Both
            can run anything, so both must be asked for.
        self_check: run a few tokens through the model and hold its activations to what they must
            satisfy (`interp.models.self_check`); without it, every result records that it was skipped.
        memory: how many GB a sweep may take for what it computes at once; by default half of what is free.

    Raises:
        ModelLoadError: an unknown name, a model that is not reachable, an architecture that is not in
            the table, a missing backend, a device or dtype that is not there, a failed self-check.
    """
    for kind, value, valid in (("backend", backend, BACKENDS), ("dtype", dtype, DTYPES)):
        if value not in valid:
            raise ModelLoadError(f"Unknown {kind} {value!r}; {nearest(str(value), valid)}")
    if processing not in ("none", "folded"):
        raise ModelLoadError(f"Unknown processing {processing!r}; {nearest(processing, ('none', 'folded'))}")
    if processing == "folded" and backend != "transformer_lens":
        raise ModelLoadError(
            "processing='folded' needs backend='transformer_lens'; the others run raw weights."
        )
    if memory is not None and not memory > 0:
        raise ModelLoadError(f"memory is a number of GB above 0, not {memory!r}.")
    backend_class = _backend_class(backend)

    from interp.models.layouts import find_layout
    from interp.models.self_check import require
    from interp.models.self_check import self_check as run_self_check
    from interp.tokens import bos_id

    torch_device = _device(device)
    torch_dtype = _dtype(dtype, torch_device)
    if isinstance(model, str | Path):
        name = str(model)
        report("loading", 0, 2)
        hf_model, tokenizer = _from_source(
            name,
            tokenizer,
            revision=revision,
            dtype=torch_dtype,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
        )
        revision = revision or getattr(hf_model.config, "_commit_hash", None)
    else:
        hf_model = model
        if not hasattr(model, "get_output_embeddings") or not hasattr(model, "config"):
            raise ModelLoadError(
                f"A model is a name, a folder or a causal language model of transformers, not a "
                f"{type(model).__name__}."
            )
        name = getattr(model.config, "name_or_path", "") or f"{model.config.model_type} in memory"
        if hf_model.dtype != torch_dtype:
            raise ModelLoadError(
                f"The model in memory is {hf_model.dtype}, not {dtype}; "
                f"pass dtype={str(hf_model.dtype).removeprefix('torch.')!r}, or convert it first."
            )
    hf_model = hf_model.to(torch_device).eval()
    if dtype == "float64" and type(hf_model)._can_set_experts_implementation():
        hf_model.set_experts_implementation("eager")  # torch's grouped product has no float64
    loaded = backend_class(
        hf_model,
        layout=layout or find_layout(hf_model),
        tokenizer=tokenizer,
        name=name,
        revision=revision,
        device=torch_device,
        dtype=torch_dtype,
        bos_id=bos_id(tokenizer, bos),
        processing=processing,
    )
    loaded.memory = None if memory is None else int(memory * 1e9)
    report("loading", 1, 2)
    if self_check:
        require(run_self_check(loaded), loaded)
        loaded.identity = replace(loaded.identity, self_check="passed")
    report("loading", 2, 2)
    return loaded


def _backend_class(backend: str) -> Callable[..., Model]:
    """The class of a backend, imported only when asked for."""
    try:
        if backend == "transformer_lens":
            from interp.models.transformer_lens_backend import TransformerLensModel

            return TransformerLensModel
        if backend == "nnsight":
            from interp.models.nnsight_backend import NNsightModel

            return NNsightModel
    except ModuleNotFoundError as error:
        extra = {"transformer_lens": "tl", "nnsight": "nnsight"}[backend]
        raise ModelLoadError(
            f"The {backend} backend is not installed ({error.name} is missing); "
            f"run: {how_to_install(extra)}; or use backend='transformers'."
        ) from None
    from interp.models.transformers_backend import TransformersModel

    return TransformersModel


def _device(device: str) -> torch.device:
    import torch

    if device == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ModelLoadError(f"The device {device!r} is not available here; use 'auto' or 'cpu'.") from None
    if chosen.type == "meta":
        raise ModelLoadError("The device 'meta' holds no numbers; use 'auto' or 'cpu'.")
    return chosen


def _dtype(dtype: str, device: torch.device) -> torch.dtype:
    import torch

    chosen: torch.dtype = getattr(torch, dtype)
    try:
        ones = torch.ones(2, 2, dtype=chosen, device=device)
        (ones @ ones).softmax(-1)
    except (RuntimeError, TypeError, NotImplementedError):
        raise ModelLoadError(f"The device {str(device)!r} cannot compute in {dtype}; use float32.") from None
    return chosen


def _from_source(
    name: str,
    tokenizer: PreTrainedTokenizerBase | None,
    *,
    revision: str | None,
    dtype: torch.dtype,
    trust_remote_code: bool,
    allow_pickle: bool,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Weights and tokenizer from a short name, a folder, or the Hugging Face cache or hub."""
    source = KNOWN[name].source if name in KNOWN else name
    local = Path(source).is_dir()
    if not local and (source.startswith((".", "/", "~")) or source.count("/") > 1):
        raise ModelLoadError(f"There is no folder {name!r}; check the path.")
    if not local and "/" not in source:
        raise ModelLoadError(f"Unknown model {name!r}; {nearest(name, KNOWN)} Or give a folder or a hub id.")
    if local and not (Path(source) / "config.json").is_file():
        raise ModelLoadError(f"The folder {name!r} holds no config.json, so it is no Hugging Face model.")
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        options["local_files_only"] = local or _cached_or_reachable(source, revision)
        safe = None if allow_pickle else True
        hf_model, report = _weights(source, quiet=local, dtype=dtype, use_safetensors=safe, **options)
    except Exception as error:  # the libraries raise of many kinds; each becomes one sentence
        raise ModelLoadError(_why_not(name, source, local, error)) from error
    if missing := sorted(report["missing_keys"]):  # transformers would go on with random numbers there
        raise ModelLoadError(
            f"The weights of {name!r} lack {len(missing)} of the model's tensors ({missing[0]}, ...); "
            "fetch or save them again."
        )
    return hf_model, tokenizer or _tokenizer(name, source, options)


def _weights(source: str, *, quiet: bool, **options: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model, and the report of its loading; without a progress bar where `quiet`."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    with _loading:
        bars = logging.is_progress_bar_enabled()
        if quiet:
            logging.disable_progress_bar()
        try:
            return AutoModelForCausalLM.from_pretrained(source, output_loading_info=True, **options)
        finally:
            if bars:
                logging.enable_progress_bar()


def _tokenizer(name: str, source: str, options: dict[str, Any]) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        if not tokenizer("a")["input_ids"]:  # what transformers makes up where there are no files
            raise ValueError("its vocabulary is empty")
    except Exception as error:  # of many kinds, as above
        raise ModelLoadError(
            f"{name!r} has weights but no tokenizer that can be loaded ({first_line(error)}); put its "
            "tokenizer files beside them, or pass tokenizer=... in Python."
        ) from error
    return tokenizer


def _cached_or_reachable(source: str, revision: str | None) -> bool:
    """True where the local cache has the weights, False where the hub does; raises where neither.

    One question to the hub with a short time limit, instead of the minute of retries of a download.
    """
    from huggingface_hub import HfApi

    if _in_cache(source, revision):
        return True
    HfApi().model_info(source, revision=revision, timeout=10)
    return False


def _in_cache(source: str, revision: str | None = None) -> bool:
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "model.safetensors.index.json")
    return any(isinstance(try_to_load_from_cache(source, file, revision=revision), str) for file in files)


def _why_not(name: str, source: str, local: bool, error: Exception) -> str:
    """One sentence for a failed load, with what to do."""
    first = first_line(error)
    if "trust_remote_code" in str(error):
        return f"{name!r} needs its own code to run; if you trust it, pass trust_remote_code=True."
    if local:
        return f"The folder {name!r} could not be loaded as a causal language model: {first}."
    if "safetensors" in first and "connect" not in first:
        return f"{source} has no safetensors weights ({first}); if you trust it, pass allow_pickle=True."
    return (
        f"{name!r} is not in the local cache and the hub could not give it ({first}); connect once to fetch "
        f"{source}, pass a folder with its weights, or use 'demo-gpt2', which needs no download."
    )
