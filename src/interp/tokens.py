"""From text to token ids, and back to what a person reads.

One policy for every backend: text is tokenised without the tokenizer's own special tokens, and the
library itself puts the beginning-of-sequence token in front where the policy says so. Token ids are
taken as they are given; a batch that a tokenizer has padded, on the left or on the right, by its mask.
Batches are padded on the right; the models are causal, so that padding can not reach a real token and
a batch gives the same numbers as its prompts one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interp.answers import Answer, AnswerLike, nested
from interp.chat import Messages, chat_text, chosen_spans, is_messages
from interp.errors import InputError
from interp.ids import checked_ids, is_one_prompt, is_ragged, of_numpy, written_ids
from interp.text_positions import span_positions, substring_positions
from interp.traps import check_bos, check_end_of_prompt
from interp.vocabulary import encode, encode_continuation, labels, named_id, text_of

Prompt = str | Messages | Sequence[int] | Sequence[np.integer] | Int[Tensor, " pos"] | Int[np.ndarray, " pos"]
Bos = Literal["auto", True, False]


@dataclass(frozen=True, eq=False)
class Tokens:
    """A batch of prompts as ids [batch, pos], padded on the right, with the length of each."""

    ids: Int[Tensor, "batch pos"]
    lengths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def mask(self) -> Bool[Tensor, "batch pos"]:
        """True at real tokens, False at padding."""
        return torch.arange(self.ids.shape[1])[None, :] < torch.tensor(self.lengths)[:, None]

    def row(self, index: int) -> list[int]:
        """The ids of one prompt, padding excluded."""
        return self.ids[index, : self.lengths[index]].tolist()

    def repeat(self, n: int) -> Tokens:
        """One prompt, `n` times. Raises `InputError` where there are several prompts."""
        if len(self) != 1:
            raise InputError(f"Expected a single prompt, got {len(self)}; give them one at a time.")
        return Tokens(self.ids.expand(n, -1), self.lengths * n)

    @classmethod
    def unpad(cls, ids: Any, mask: Any) -> Tokens:
        """A batch that was padded elsewhere, on the left or on the right, by its attention mask [batch, pos].

        Padding on the left is taken off and put on the right, so position 0 is each prompt's first token.
        Raises `InputError` where a mask has a gap or no token, or does not have the shape of the ids.
        """
        if is_ragged(ids):  # not padded at all
            return cls._of_ragged(ids, mask)
        ids, mask = torch.as_tensor(ids), torch.as_tensor(mask)
        if ids.ndim != 2 or ids.shape != mask.shape:
            raise InputError(
                f"Ids and mask must both be [batch, pos]; they are {list(ids.shape)} and {list(mask.shape)}."
            )
        mask = mask.bool()
        for row, real in enumerate(mask):
            where = real.nonzero().flatten()
            if not len(where) or int(where[-1] - where[0]) + 1 != len(where):
                raise InputError(
                    f"The mask of prompt {row} is not one stretch of tokens with padding on one side of it."
                )
        return cls.pad([row[real].tolist() for row, real in zip(ids, mask, strict=True)])

    @classmethod
    def _of_ragged(cls, ids: Any, mask: Any) -> Tokens:
        """A batch of prompts of several lengths, each with a mask of its own."""
        if not is_ragged(mask) or [*map(len, ids)] != [*map(len, mask)]:
            raise InputError("Each prompt of a batch needs a mask of its own length.")
        rows = [cls.unpad([row], [real]).row(0) for row, real in zip(ids, mask, strict=True)]
        return cls.pad(rows)

    @classmethod
    def pad(cls, rows: Sequence[Sequence[int]], *, pad_id: int = 0) -> Tokens:
        """Prompts of any lengths as one batch. The padding id is never seen by a real token."""
        lengths = tuple(len(row) for row in rows)
        ids = torch.full((len(rows), max(lengths)), pad_id, dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.as_tensor(row)
        return cls(ids, lengths)


#: What a model takes as prompts: text or ids, several of either, or a batch that a tokenizer made.
Prompts = (
    Tokens
    | Prompt
    | Sequence[Prompt]
    | Int[Tensor, "prompt pos"]
    | Int[np.ndarray, "prompt pos"]
    | Mapping[str, Any]
)


def bos_id(tokenizer: PreTrainedTokenizerBase | None, bos: Bos = "auto") -> int | None:
    """The id to put in front of text prompts, or None.

    ``"auto"`` is the tokenizer's own beginning-of-sequence token where it has one (GPT-2, Llama) and
    nothing where it has none (Qwen). True insists on one and raises `InputError` where there is none.
    """
    own = None if tokenizer is None else tokenizer.bos_token_id
    if bos not in ("auto", True, False):
        raise InputError(f"bos={bos!r} is not a policy; use 'auto', true or false.")
    if bos is True and own is None:
        raise InputError(
            "bos=true, but this tokenizer has no beginning-of-sequence token; use 'auto' or false."
        )
    return own if bos else None


def answer_text(tokenizer: PreTrainedTokenizerBase | None, answer: Answer) -> str:
    """An answer as text: its forms with bars between them, the tokens of a form decoded together."""
    return "|".join(
        labels(tokenizer, form)[0] if len(form) == 1 else text_of(tokenizer, form, goes_on=True)
        for form in answer
    )


def differing_positions(
    clean: Sequence[int], corrupted: Sequence[int], *, names: Sequence[str] = ()
) -> list[int]:
    """Where two prompts of equal length differ. `InputError` where they do not align or are the same.

    `names` are the tokens of both, to show in the message.
    """
    if len(clean) != len(corrupted):
        shown = f" ({' / '.join(names)})" if names else ""
        raise InputError(
            f"The clean prompt has {len(clean)} tokens and the corrupted one {len(corrupted)}{shown}; "
            "patching needs the same number, so change words for others of as many tokens."
        )
    where = [i for i, (a, b) in enumerate(zip(clean, corrupted, strict=True)) if a != b]
    if not where:
        raise InputError(
            "The clean and the corrupted prompt are the same; change what the answer depends on."
        )
    return where


@dataclass(frozen=True)
class Encoder:
    """How prompts and answers become ids of one model; every check of them is here."""

    tokenizer: PreTrainedTokenizerBase | None
    bos: int | None  # put in front of text
    d_vocab: int
    n_ctx: int | None  # the longest prompt in tokens; None: no limit known
    d_vocab_in: int  # rows of the embedding, which need not be as many as the tokens that are predicted

    def batch(self, prompts: Prompts) -> Tokens:
        """Prompts as one batch, as `interp.Model.to_tokens` says."""
        if isinstance(prompts, Mapping):
            if not {"input_ids", "attention_mask"} <= prompts.keys():
                raise InputError("A batch from a tokenizer needs its 'input_ids' and its 'attention_mask'.")
            prompts = Tokens.unpad(prompts["input_ids"], prompts["attention_mask"])
        if isinstance(prompts, Tokens):
            for row in range(len(prompts)):  # the ids are checked; they are taken as they are
                self._fitting(checked_ids(prompts.row(row), self.d_vocab_in))
            return prompts
        if not isinstance(prompts, str | Sequence | Tensor | np.ndarray):
            raise InputError(f"A prompt is text or a list of token ids, not {type(prompts).__name__}.")
        several = cast(
            Sequence[Prompt],
            [prompts]
            if isinstance(prompts, str) or is_one_prompt(prompts) or is_messages(prompts)
            else prompts,
        )
        rows = [self.prompt(of_numpy(prompt)) for prompt in several]
        if not rows:
            raise InputError("There is no prompt; give at least one.")
        return Tokens.pad(rows)

    def prompt(self, prompt: Prompt) -> list[int]:
        """One prompt as a list of ids: text gets the BOS (once, where a chat template writes it too), ids
        are checked and taken as they are."""
        if isinstance(prompt, str) and self.tokenizer is None:
            prompt = written_ids(prompt) or prompt
        if isinstance(prompt, str) or is_messages(prompt):
            tokenizer = self._tokenizer("prompts must be token ids, as in '5 9 33'; or name its tokens")
            ids = encode(tokenizer, self._text(prompt, tokenizer))
            if self.bos is not None and ids[:1] != [self.bos]:
                ids = [self.bos, *ids]
            if (largest := max(ids, default=0)) >= self.d_vocab_in:
                raise InputError(
                    f"The tokenizer makes token {largest} ({labels(tokenizer, [largest])[0]!r}) of the "
                    f"prompt, but the model's embedding has {self.d_vocab_in} rows; give the tokenizer that "
                    "belongs to it."
                )
        else:
            ids = checked_ids(prompt, self.d_vocab_in)
            check_bos(ids, self.bos)
        return self._fitting(ids)

    def _text(self, prompt: Any, tokenizer: PreTrainedTokenizerBase) -> str:
        """A prompt as one text, the messages of a conversation as the template writes them."""
        if is_messages(prompt):
            return chat_text(tokenizer, prompt)
        if not prompt.strip():
            raise InputError("The prompt is empty; type some text.")
        check_end_of_prompt(prompt)
        return prompt

    def _fitting(self, ids: list[int]) -> list[int]:
        if self.n_ctx is not None and len(ids) > self.n_ctx:
            raise InputError(
                f"The prompt has {len(ids)} tokens, but this model reads at most {self.n_ctx}; shorten it."
            )
        return ids

    def single_token(self, answer: str | int) -> int:
        """The id of an answer that is exactly one token.

        The text is taken literally, with its leading space or without one, as it goes on from a prompt; an
        id may be written in angle brackets, as in ``<148>``. Raises `InputError` where it is no token or
        several, and names the form with a leading space where that would be one.
        """
        if isinstance(answer, bool) or not isinstance(answer, str | int):
            raise InputError(f"An answer is text or a token id, not {type(answer).__name__}.")
        if isinstance(answer, str) and self.tokenizer is None and len(ids := written_ids(answer)) == 1:
            answer = ids[0]
        if isinstance(answer, int):
            if not 0 <= answer < self.d_vocab:
                raise InputError(
                    f"Token ids must lie between 0 and {self.d_vocab - 1}; got the answer {answer}."
                )
            return answer
        if (named := named_id(self.tokenizer, answer)) is not None:
            return self.single_token(named)
        tokenizer = self._tokenizer("answers must be token ids, as in '5'; or name its tokens")
        ids = encode_continuation(tokenizer, answer)
        if len(ids) == 1:
            return ids[0]
        if not ids:
            raise InputError("The answer is empty; give the text of one token, usually with a leading space.")
        pieces = " + ".join(repr(piece) for piece in labels(tokenizer, ids))
        spaced = " " + answer
        hint = (
            f"write it with a leading space, as {spaced!r}"
            if not answer.startswith(" ") and len(encode_continuation(tokenizer, spaced)) == 1
            else "choose an answer that is one token"
        )
        raise InputError(f"The answer {answer!r} is {len(ids)} tokens ({pieces}); {hint}.")

    def answer(self, given: AnswerLike) -> Answer:
        """An answer as `interp.answers` says how it is written. `InputError` for what is none."""
        if isinstance(given, Answer):
            for token in (token for form in given for token in form):
                self.single_token(token)
            return given
        several = self._forms(given)
        if several == [given] and isinstance(given, str) and self._lacks_space(given):
            self.single_token(given)  # raises, and says so
        forms = tuple(dict.fromkeys(map(self._form, several)))
        if (found := nested(forms)) is not None:
            longer, shorter = (repr(answer_text(self.tokenizer, Answer((forms[i],)))) for i in found)
            raise InputError(
                f"The form {longer} begins with the form {shorter}, which counts it already; leave it out."
            )
        return Answer(forms)

    def _forms(self, given: Any) -> list[Any]:
        """The forms of an answer, as they are given."""
        if isinstance(given, Mapping):
            forms = given.get("any")
            if given.keys() != {"any"} or not isinstance(forms, list | tuple) or not forms:
                raise InputError(
                    "An answer of several forms is text with bars, ' Paris|Paris', or {'any': [' Paris', "
                    f"'Paris']}}; got {dict(given)!r}."
                )
            return list(forms)
        if not isinstance(given, str) or "|" not in given:
            return [given]
        pieces = given.split("|")
        if not all(map(str.strip, pieces)) or self._is_token(given):
            return [given]  # an operator or a token that has bars in it
        return [piece.rstrip(" ") for piece in pieces]

    def _form(self, given: Any) -> tuple[int, ...]:
        """The ids of one form: of text, of an id or of a list of ids."""
        if isinstance(given, list | tuple) and given:
            if not all(isinstance(token, int) for token in given):
                raise InputError(f"A form given as a list holds token ids alone; got {list(given)!r}.")
            return tuple(self.single_token(token) for token in given)
        if isinstance(given, str) and self.tokenizer is None and len(ids := written_ids(given)) > 1:
            return self._form(ids)
        if (
            not isinstance(given, str)
            or self.tokenizer is None
            or named_id(self.tokenizer, given) is not None
        ):
            return (self.single_token(given),)
        ids = encode_continuation(self.tokenizer, given)
        return tuple(ids) if ids else (self.single_token(given),)  # which says what to do

    def _lacks_space(self, text: str) -> bool:
        """Whether a text is several tokens, and one with a leading space: it was forgotten."""
        return not text.startswith(" ") and self._is_token(f" {text}") and not self._is_token(text)

    def _is_token(self, text: str) -> bool:
        """Whether a text is one token."""
        try:
            return self.tokenizer is not None and len(encode_continuation(self.tokenizer, text)) == 1
        except InputError:  # it has characters that the tokenizer does not know
            return False

    def positions_of(
        self, prompt: str | Messages, substring: str | None, *,
        span: tuple[int, int] | None, token: str | int | None, turn: int | None, role: str | None,
    ) -> list[int]:  # fmt: skip
        """Where a substring, a span, a token or a turn stands, as `interp.Model.positions_of` says."""
        by_turn = turn is not None or role is not None
        if sum(way is not None for way in (substring, span, token)) + by_turn != 1:
            raise InputError(
                "Say where in one way: a substring, a span of characters, a token, or a turn or role."
            )
        ids = self.batch(prompt).row(0)
        if token is not None:
            wanted = token if isinstance(token, int) else self.single_token(token)
            if wanted not in ids:
                raise InputError(f"The token {token!r} does not occur in the prompt {prompt!r}.")
            return [i for i, one in enumerate(ids) if one == wanted]
        tokenizer = self._tokenizer("positions must be given as numbers")
        if by_turn:
            if isinstance(prompt, str):
                raise InputError("A text has no turns or roles; give the messages of a conversation.")
            spans = chosen_spans(tokenizer, prompt, turn=turn, role=role)
        text = prompt if isinstance(prompt, str) else chat_text(tokenizer, prompt)
        if substring is not None:
            return substring_positions(text, substring, tokenizer=tokenizer, ids=ids)
        if span is not None:
            return span_positions(text, span, tokenizer=tokenizer, ids=ids)
        ends = [span_positions(text, one, tokenizer=tokenizer, ids=ids) for one in spans]
        return [i for found in ends for i in range(found[0], found[-1] + 1)]  # tokens of a space too

    def _tokenizer(self, otherwise: str) -> PreTrainedTokenizerBase:
        """The tokenizer, where there is one; what to do without says `otherwise`."""
        if self.tokenizer is None:
            raise InputError(f"This model has no tokenizer, so {otherwise}.")
        return self.tokenizer
