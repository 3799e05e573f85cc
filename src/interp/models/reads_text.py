"""What a model makes of text: prompts and answers as ids, and ids as what a person reads."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interp.answers import Answer, AnswerLike
from interp.chat import Messages
from interp.tokens import Encoder, Prompts, Tokens, answer_text
from interp.vocabulary import labels, text_of


class ReadsText:
    """The part of `interp.Model` that needs its tokenizer alone."""

    tokenizer: PreTrainedTokenizerBase | None
    encoder: Encoder

    def to_tokens(self, prompts: Prompts) -> Tokens:
        """Prompts as ids: text, messages of a conversation (`interp.chat`), a list of ids, or several of
        these; or a batch that a tokenizer made, with ``input_ids`` and ``attention_mask``, padded on either
        side. `Tokens` pass through.

        Text gets the BOS of the model's policy; ids are taken as they are. Several prompts may have
        different lengths; position 0 is always a prompt's first token, whatever the padding was.
        """
        return self.encoder.batch(prompts)

    def to_single_token(self, answer: str | int) -> int:
        """The id of an answer that is one token: text, an id, or ``<148>``; `InputError` otherwise."""
        return self.encoder.single_token(answer)

    def to_answer(self, answer: AnswerLike) -> Answer:
        """An answer of one token or several, in one form or several, written as `interp.answers` says."""
        return self.encoder.answer(answer)

    def answer_label(self, answer: int | Answer) -> str:
        """An answer as text, its forms with bars between them."""
        return answer_text(self.tokenizer, Answer.of(answer))

    def labels(self, ids: Sequence[int] | Int[Tensor, " pos"]) -> list[str]:
        """What each token adds to a text; its id in angle brackets where that is no text of its own."""
        return labels(self.tokenizer, [int(i) for i in ids])

    def to_text(self, ids: Sequence[int] | Int[Tensor, " pos"], *, goes_on: bool = False) -> str:
        """The running text of ids, decoded as a whole: what begins a text, or with `goes_on` follows one."""
        return text_of(self.tokenizer, [int(i) for i in ids], goes_on=goes_on)

    def positions_of(
        self, prompt: str | Messages, substring: str | None = None, *,
        span: tuple[int, int] | None = None, token: str | int | None = None,
        turn: int | None = None, role: str | None = None,
    ) -> list[int]:  # fmt: skip
        """Positions in `prompt`, BOS counted, for use in an address.

        Give one of: `substring`, a part of the prompt that occurs once (the tokens that make it up); `span`,
        characters [start, stop) of the prompt; `token`, the text or id of a token (everywhere it occurs); of
        messages, what is said in a `turn` (from 0, or from the end), or by a `role` ("user"), or both. The
        last token before the answer is at -1. Raises `InputError` where there is no such place.
        """
        return self.encoder.positions_of(prompt, substring, span=span, token=token, turn=turn, role=role)
