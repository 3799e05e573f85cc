"""GGUF files made into copies that load in seconds: dequantised once, checked, written as safetensors.

To read and dequantise a GGUF file takes transformers 20 to 60 seconds. A copy is written to a folder beside
its place and moved there in one step. The weights in it are those of the file, in float32: what was lost by
quantising stays lost.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from interp.errors import ModelLoadError, first_line
from interp.models.gguf.copies import ABOUT, Copy, copies_folder, copy_of, read_copy
from interp.models.gguf.files import Header, read_header, sha256
from interp.progress import report

#: Text that a tokenizer must give back as it is: runs of spaces, lines, accents, other scripts, digits.
SAMPLE = "Hello  world, it's 1234!\n\n\tdéjà vu, 日本語, Ω 🙂"


def converted(path: Path) -> Copy:
    """The copy of a GGUF file, made now where there is none.

    Raises `ModelLoadError` where the file cannot be read, is of an architecture that transformers does not
    read, has a tokenizer that is not read as the file has it, or where the disk is full.
    """
    digest = sha256(path)
    if copy := copy_of(digest):
        return copy
    folder = copies_folder() / digest[:16]
    header = read_header(path)
    _check_space(header, folder)
    report("converting", 0, 3)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    except OSError as error:
        raise ModelLoadError(
            f"Converted copies cannot be kept in {str(folder.parent)!r} ({error})."
        ) from None
    try:
        _convert(path, header, unfinished)
        about = {"source": str(path.resolve()), "sha256": digest, "architecture": header.architecture}
        text = json.dumps({**about, "quantisation": header.quantisation}, indent=1)
        (unfinished / ABOUT).write_text(text, encoding="utf-8")
        unfinished.replace(folder)
    except OSError as error:
        if not (folder / ABOUT).is_file():  # another process was quicker: its copy will do
            raise ModelLoadError(
                f"The copy of {str(path)!r} cannot be written ({first_line(error)})."
            ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    report("converting", 3, 3)
    return read_copy(folder)


def _check_space(header: Header, folder: Path) -> None:
    """`ModelLoadError` where the copy would not fit on the disk."""
    need = 4 * header.n_parameters
    there = next(parent for parent in folder.parents if parent.exists())
    if (free := shutil.disk_usage(there).free) < 1.1 * need:
        raise ModelLoadError(
            f"The converted copy takes {need / 1e9:.1f} GB, and {str(there)!r} has {free / 1e9:.1f} GB free; "
            "make room, or set INTERP_CACHE to another disk."
        )


def _convert(path: Path, header: Header, folder: Path) -> None:
    """Weights in float32 and the tokenizer of a GGUF file, in Hugging Face's format."""
    # transformers looks for a file of this name in a folder, so that a blob without an ending is found too.
    with tempfile.TemporaryDirectory() as linked:
        link = Path(linked) / "model.gguf"
        link.symlink_to(path.resolve())
        try:
            tokenizer = AutoTokenizer.from_pretrained(linked, gguf_file=link.name)
            report("converting", 1, 3)
            model = AutoModelForCausalLM.from_pretrained(linked, gguf_file=link.name, dtype=torch.float32)
        except Exception as error:  # of many kinds: an unknown architecture, a tensor that is not there
            raise ModelLoadError(
                f"transformers does not read {path.name!r}, a GGUF file of {header.architecture!r} "
                f"({first_line(error)}); load the model from its safetensors."
            ) from error
    report("converting", 2, 3)
    check_tokenizer(tokenizer, header.tokens, path.name)
    model.hf_quantizer.remove_quantization_config(model)  # its weights are plain by now
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, pieces: tuple[str, ...], name: str) -> None:
    """`ModelLoadError` where a tokenizer does not have the file's pieces at their ids, or loses text."""
    if not pieces:
        raise ModelLoadError(f"{name!r} has no tokenizer; load the model from its safetensors.")
    read = tokenizer.convert_ids_to_tokens(list(range(len(pieces))))
    # Files write a space within a piece as it is or as SentencePiece does; both mean the same.
    plain = [[(piece or "").replace(" ", "▁") for piece in side] for side in (read, pieces)]
    other = next((i for i, (a, b) in enumerate(zip(*plain, strict=True)) if a != b), None)
    if other is not None:
        raise ModelLoadError(
            f"The tokenizer of {name!r} is not read as the file has it: token {other} is "
            f"{pieces[other]!r} in the file and {read[other]!r} in transformers; "
            "load the model from its safetensors."
        )
    back = tokenizer.decode(tokenizer.encode(SAMPLE, add_special_tokens=False))
    if back.strip() != SAMPLE:
        raise ModelLoadError(f"The tokenizer of {name!r} loses text: {SAMPLE!r} comes back as {back!r}.")
