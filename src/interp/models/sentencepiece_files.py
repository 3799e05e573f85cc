"""A tokenizer that a model has as ``tokenizer.model`` alone: held to SentencePiece's own reading of the file.

transformers builds its tokenizers from that file by what the folder says of itself, and takes one for another
where it says little: without the space that SentencePiece puts in front, with another algorithm, or without
the spaces at all. The text may come back whole all the same, from other ids than the model learned with.
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerBase

from interp.errors import ModelLoadError

_SAMPLE = "The quick brown fox jumps over the lazy dog (A, b); it is 12."
_PIECES = 2000  # how many of the vocabulary's pieces are read besides


def check_sentencepiece(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """`ModelLoadError` where a tokenizer that was built from a SentencePiece file alone reads text otherwise.

    Any other tokenizer passes, and every one where the package sentencepiece is not installed: transformers
    cannot read the file then either.
    """
    options: dict[str, Any] = tokenizer.init_kwargs
    file = options.get("vocab_file")
    if options.get("tokenizer_file") or not str(file).endswith(".model"):
        return
    try:
        from sentencepiece import SentencePieceProcessor

        own = SentencePieceProcessor(model_file=str(file))
    except (ImportError, RuntimeError, OSError):  # not installed, or a file of tiktoken's kind
        return
    pieces = [i for i in range(own.get_piece_size()) if not own.is_control(i) and not own.is_unknown(i)]
    for text in (_SAMPLE, own.decode(pieces[:_PIECES])):
        ids, wanted = tokenizer(text, add_special_tokens=False)["input_ids"], own.encode(text)
        if ids != wanted:
            at = next((i for i, (a, b) in enumerate(zip(ids, wanted, strict=False)) if a != b), 0)
            here = slice(at, at + 3)
            read = " ".join(map(str, tokenizer.convert_ids_to_tokens(ids[here])))
            right = " ".join(map(own.id_to_piece, wanted[here]))
            raise ModelLoadError(
                f"{name!r} has its tokenizer as tokenizer.model alone, and transformers takes it for a "
                f"{type(tokenizer).__name__}, which reads {read!r} where SentencePiece reads {right!r}; put "
                "the model's tokenizer.json beside it, or in Python pass tokenizer=... of the right class, "
                "such as LlamaTokenizer."
            )
