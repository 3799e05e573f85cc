"""Tokenizers of the kinds that people's models have, small, made without any file."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram, WordLevel
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

WORDS = ("The", "capital", "France", "Paris", "is", "in", "of", "Mary")


def _merged(words: Iterable[str], vocab: dict[str, int]) -> list[tuple[str, str]]:
    """The merges that make each word one piece, which is added to the vocabulary with all before it."""
    merges = []
    for word in words:
        made = word[0]
        for character in word[1:]:
            if (made, character) not in merges:
                merges.append((made, character))
            made += character
            for piece in (character, made):
                vocab.setdefault(piece, len(vocab))
    return merges


def llama_tokenizer(*, prepend: bool = False) -> PreTrainedTokenizerFast:
    """Llama 2's kind: a space in front of the text, which decoding takes away; bytes for other characters.

    With `prepend`, the space comes from the normaliser, as in files that older versions of transformers made.
    """
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    characters = [chr(code) for code in range(33, 127)]
    for character in ("▁", *characters):
        vocab.setdefault(character, len(vocab))
    merges = _merged([f"▁{word}" for word in WORDS] + ["▁(", "▁A"], vocab)
    if not prepend:
        return LlamaTokenizer(vocab=vocab, merges=merges)
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=merges, fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def unigram_tokenizer() -> PreTrainedTokenizerFast:
    """SentencePiece's other kind, without bytes: what it has no piece for is unknown."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("▁", -2.0)]
    pieces += [(f"▁{word}", -4.0) for word in WORDS] + [(chr(code), -8.0) for code in range(33, 127)]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")


def lossy_tokenizer() -> PreTrainedTokenizerFast:
    """Letters and a space alone; what it has no token for vanishes, as there is no unknown token."""
    vocab = {character: i for i, character in enumerate(" abcdefghijklmnopqrstuvwxyzTP")}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, divided at spaces, and nothing that says how they are joined."""
    vocab = {word: i for i, word in enumerate(("[UNK]", "<s>", ".", ",", *WORDS))}
    tokenizer = Tokenizer(WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="[UNK]")
