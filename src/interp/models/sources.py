"""Weights and tokenizer of what a user names: a short name, a folder, a GGUF file, or a Hugging Face id.

Weights are loaded by transformers, once, whatever the backend: safetensors only, no remote code unless asked
for by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from interp.errors import ModelLoadError, first_line, nearest
from interp.models.gguf.conversion import converted
from interp.models.gguf.copies import Copy, copies_folder, copy_of
from interp.models.gguf.files import gguf_file
from interp.models.gguf.packages import GEMMA, assembled, is_installed
from interp.models.in_memory import check_whole, owners_model
from interp.models.names import KNOWN, in_cache
from interp.models.sentencepiece_files import check_sentencepiece
from interp.models.shards import sharding_options
from interp.models.sizes import check_sizes
from interp.models.token_names import FILES as NAME_FILES
from interp.models.token_names import tokenizer_of
from interp.models.weights_hash import weights_hash
from interp.progress import report

#: Transformers loads under switches of the whole process: of two models that load at once, neither is whole.
_loading = Lock()
_PATIENCE = 0.2  # seconds between two reports while another model loads
#: A folder with any of these has a tokenizer.
_TOKENIZER_FILES = (
    *("tokenizer*", "special_tokens*", "added_tokens*", "vocab*"),
    *("merges.txt", "*.model", "*.tiktoken", "tekken.json"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A model as transformers gives it, before a backend takes it."""

    hf_model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    name: str
    revision: str | None
    quantisation: str | None = None  # what its weights were dequantised from, such as Q4_K_M
    weights: str | None = None  # their hash, where no name and revision says which they are


def from_memory(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase | None,
    *,
    name: str | None,
    revision: str | None,
    dtype: str,
) -> Source:
    """A model that its owner has loaded; `ModelLoadError` where it is none, or of another precision."""
    hf_model = owners_model(model, dtype=dtype)
    own = getattr(hf_model.config, "name_or_path", "") or f"{hf_model.config.model_type} in memory"
    return Source(
        hf_model=hf_model,
        tokenizer=tokenizer,
        name=name or own,
        revision=revision,
        weights=weights_hash(hf_model),
    )


def from_name(
    name: str,
    tokenizer: PreTrainedTokenizerBase | None,
    *,
    revision: str | None,
    dtype: torch.dtype,
    trust_remote_code: bool,
    allow_pickle: bool,
    places: Mapping[str, Any] | None = None,
    tp_plan: str | None = None,
) -> Source:
    """Weights and tokenizer of what `name` names, in several `places` where it says so
    (`interp.models.places`), or cut over processes by a `tp_plan` (`interp.models.shards`). `ModelLoadError`
    where it cannot be loaded."""
    source, copy = _found(name, revision)
    local = Path(source).is_dir()
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        options["local_files_only"] = local or _cached_or_reachable(source, revision, pickled=allow_pickle)
        safe = None if allow_pickle else True
        if tp_plan is not None:
            places = sharding_options(tp_plan, AutoConfig.from_pretrained(source, **options))
        hf_model, found = _weights(
            source, quiet=local, dtype=dtype, use_safetensors=safe, **(places or {}), **options
        )
    except (CancelledError, ModelLoadError):  # nobody waits for it any more; or it says what is wrong
        raise
    except Exception as error:  # the libraries raise of many kinds; each becomes one sentence
        raise ModelLoadError(_why_not(name, source, local, error)) from error
    _check_tensors(name, hf_model, missing=found["missing_keys"], unexpected=found["unexpected_keys"])
    check_whole(hf_model, in_places=places is not None)
    return Source(
        hf_model=hf_model,
        tokenizer=tokenizer or _tokenizer(name, source, options),
        name=name,
        revision=revision or getattr(hf_model.config, "_commit_hash", None),
        quantisation=None if copy is None else copy.quantisation,
    )


def source_of(name: str, revision: str | None = None) -> str:
    """The folder or hub id that `name` stands for, of which a configuration can be read without weights."""
    return _found(name, revision)[0]


def configured(
    name: str, tokenizer: PreTrainedTokenizerBase | None, *, revision: str | None, trust_remote_code: bool
) -> tuple[str, PreTrainedTokenizerBase]:
    """The folder or hub id that `name` stands for, and its tokenizer, without weights. `ModelLoadError` for
    files of this disk that hold weights alone, and where there is no tokenizer."""
    if gguf_file(name) is not None:
        raise ModelLoadError(f"{name!r} is a file of this machine; a remote model goes by its hub id.")
    source = _checked_source(name)
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    found = tokenizer or _tokenizer(name, source, options)
    if found is None:
        raise ModelLoadError(f"{name!r} has no tokenizer, which a remote model needs; give one.")
    return source, found


def _found(name: str, revision: str | None) -> tuple[str, Copy | None]:
    copy = _gguf_copy(name, revision)
    return (_checked_source(name) if copy is None else str(copy.folder)), copy


def _gguf_copy(name: str, revision: str | None) -> Copy | None:
    """The converted copy of the GGUF file that `name` names; None where it names something else.

    Gemma 3 270M comes from the hub's cache where it is there, else from the packages of the extra `real`.
    """
    if name == GEMMA.name:
        if in_cache(GEMMA.hub_id, revision) or not is_installed(GEMMA):
            return None
        return copy_of(GEMMA.sha256) or converted(assembled(GEMMA, copies_folder().parent / "files"))
    path = gguf_file(name)
    return None if path is None else converted(path)


def _checked_source(name: str) -> str:
    """The folder or hub id that `name` stands for; `ModelLoadError` where it can be neither."""
    source = KNOWN[name].source if name in KNOWN else name
    if source.startswith("~"):
        source = str(Path(source).expanduser())
    path = Path(source)
    if path.is_file():
        raise ModelLoadError(
            f"{name!r} is a file, and no GGUF file; give the folder that holds config.json and weights."
        )
    local = path.is_dir()
    if not local and (source.startswith((".", "/", "~")) or source.count("/") > 1):
        raise ModelLoadError(f"There is no folder {name!r}; check the path.")
    if not local and "/" not in source:
        raise ModelLoadError(f"Unknown model {name!r}; {nearest(name, KNOWN)} Or give a folder or a hub id.")
    if local and not (path / "config.json").is_file():
        raise ModelLoadError(f"The folder {name!r} holds no config.json, so it is no Hugging Face model.")
    if local:
        check_sizes(path)
    return source


def _weights(source: str, *, quiet: bool, **options: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model, and the report of its loading; without a progress bar where `quiet`."""
    while not _loading.acquire(timeout=_PATIENCE):
        report("loading", 0, 2)  # who waits for another model can leave
    try:
        bars = logging.is_progress_bar_enabled()
        if quiet:
            logging.disable_progress_bar()
        hook = logging.set_tqdm_hook(_reported)
        try:
            return AutoModelForCausalLM.from_pretrained(source, output_loading_info=True, **options)
        finally:
            logging.set_tqdm_hook(hook)
            if bars:
                logging.enable_progress_bar()
    finally:
        _loading.release()


def _reported(bar: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A progress bar of transformers; that of the weights also reports here at each of them, so that whoever
    listens can stop the loading."""
    made = bar(*args, **options)
    weights = options.get("desc") == "Loading weights" and args
    return _each_reported(made, total=len(args[0])) if weights else made


def _each_reported(weights: Any, *, total: int) -> Iterator[Any]:
    for done, weight in enumerate(weights):
        report("loading", done, 2 * total)
        yield weight


#: Tensors that older files hold and that are no weights: masks and frequencies.
_NO_WEIGHTS = re.compile(r"\.(attn|attention)\.(masked_)?bias$|inv_freq$|position_ids$")


def _check_tensors(name: str, hf_model: PreTrainedModel, *, missing: set[str], unexpected: set[str]) -> None:
    """`ModelLoadError` where weights are not those of the model that transformers has built for them: it
    would go on with random numbers, or without what it has no place for."""
    saved = getattr(hf_model.config, "architectures", None) or [type(hf_model).__name__]
    saved_as = "" if saved[0] == type(hf_model).__name__ else f"; they were saved as a {saved[0]}"
    if missing:
        raise ModelLoadError(
            f"The weights of {name!r} lack {len(missing)} of the model's tensors ({min(missing)}, "
            f"...){saved_as}; fetch or save them again."
        )
    if extra := sorted(key for key in unexpected if not _NO_WEIGHTS.search(key)):
        raise ModelLoadError(
            f"The weights of {name!r} hold {len(extra)} tensors that a {type(hf_model).__name__} has no "
            f"place for ({extra[0]}, ...){saved_as}, so it would compute something else; if they do not "
            "matter, load it with transformers and give the model."
        )


def _tokenizer(name: str, source: str, options: dict[str, Any]) -> PreTrainedTokenizerBase | None:
    """The tokenizer beside the weights. In a folder that has none, that of the names of tokens where they are
    there, else None: then prompts are ids."""
    folder = Path(source)
    if folder.is_dir() and not any(next(folder.glob(pattern), None) for pattern in _TOKENIZER_FILES):
        named = next((folder / file for file in NAME_FILES if (folder / file).is_file()), None)
        return None if named is None else tokenizer_of(named)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        if not tokenizer("a")["input_ids"]:  # what transformers makes up where there are no files
            raise ValueError("its vocabulary is empty")
    except Exception as error:  # of many kinds, as above
        raise ModelLoadError(
            f"{name!r} has weights but no tokenizer that can be loaded ({first_line(error)}); mend its "
            "tokenizer files, or remove them and give prompts as ids."
        ) from error
    check_sentencepiece(tokenizer, name)
    return tokenizer


def _cached_or_reachable(source: str, revision: str | None, *, pickled: bool) -> bool:
    """True where the local cache has the weights, False where the hub does; raises where neither.

    One question to the hub with a short time limit, instead of the minute of retries of a download.
    """
    from huggingface_hub import HfApi

    if in_cache(source, revision, pickled=pickled):
        return True
    HfApi().model_info(source, revision=revision, timeout=10)
    return False


def _why_not(name: str, source: str, local: bool, error: Exception) -> str:
    """One sentence for a failed load, with what to do."""
    first = first_line(error)
    if "trust_remote_code" in str(error):
        return f"{name!r} needs its own code to run; if you trust it, pass trust_remote_code=True."
    if local and "quantiz" not in str(error).lower():
        return f"The folder {name!r} could not be loaded as a causal language model: {first}."
    if "quantiz" in str(error).lower() or "bitsandbytes" in str(error):
        return (
            f"The weights of {name!r} are packed in few bits ({first}); give a version that is not "
            "quantised, such as a GGUF file or the original."
        )
    if "safetensors" in first and "connect" not in first:
        return f"{source} has no safetensors weights ({first}); if you trust it, pass allow_pickle=True."
    return (
        f"{name!r} is not in the local cache and the hub could not give it ({first}); connect once to fetch "
        f"{source}, pass a folder with its weights, or use 'demo-gpt2', which needs no download."
    )
