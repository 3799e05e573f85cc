"""`Model.generate` and `Model.stream`: what every model that runs a text can also go on to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.architecture import Architecture, Identity
from interp.edits import Change, Edit, EditFrom
from interp.errors import EditError, InputError
from interp.models.cache import SiteSpec
from interp.models.editing import Taps
from interp.models.generating.generated import Generated
from interp.models.generating.steps import Asked, Step, steps
from interp.models.generating.taps import check_goes_on, inner
from interp.models.reads_text import ReadsText
from interp.models.rotary import scales
from interp.sampling import Sample
from interp.sites import Address, parse_sites
from interp.tokens import Prompts, Tokens

Stop = Literal["auto"] | Sequence[str | int]
UseCache = bool | Literal["auto"]


class Generates(ReadsText, ABC):
    """The part of `interp.Model` that generates text."""

    arch: Architecture
    identity: Identity
    device: torch.device
    hf_model: Any
    _lock: Any

    # ---- what a backend provides ----

    @abstractmethod
    def _run(self, ids: Int[Tensor, "batch pos"], taps: Taps) -> Float[Tensor, "batch pos d_vocab"]:
        """One forward pass that brings every site of `taps.keys` to `taps.visit`."""

    @abstractmethod
    def _check(self, addresses: Sequence[Address], edits: Sequence[Edit], tokens: Tokens) -> None: ...

    def new_past(self) -> Any:
        """An empty `Past`, of a backend of which `why_uncached` says nothing."""
        raise NotImplementedError

    def run_last(
        self, ids: Int[Tensor, "row pos"], taps: Taps, past: Any | None
    ) -> Float[Tensor, "row d_vocab"]:
        """The logits of the last position, of texts of which `past` knows all tokens but these."""
        return self._run(ids.to(self.device), taps)[:, -1]

    def goes_on_joined(self) -> bool:
        """Whether texts of several lengths can go on in one pass, from what was kept of each."""
        return False

    def why_uncached(self) -> str:
        """Why keys and values cannot be kept on this backend, as the end of a sentence; nothing where they
        can."""
        return f"the {self.identity.backend} backend does not reach the model's keys and values"

    # ---- what a user calls ----

    def generate(
        self,
        prompts: Prompts,
        n_tokens: int = 20,
        *,
        edits: Sequence[Edit | EditFrom] = (),
        sample: Sample | None = None,
        stop: Stop = "auto",
        sites: Sequence[SiteSpec] = (),
        cache: UseCache = "auto",
    ) -> Generated:
        """What the model goes on to say after each prompt, at most `n_tokens` tokens.

        Args:
            edits: an `Edit` with positions acts on those of the prompt, one without on the whole text, what
                is said included; an `EditFrom` from a position on.
            sample: how tokens are drawn; None takes the likeliest each time.
            stop: tokens that end a text; "auto" those that the model and its tokenizer name, () none.
            sites: activations to keep, of prompt and continuation, the last token included.
            cache: "auto" keeps keys and values where that gives what running the whole text gives, and says
                in the result where and why it does not; False never keeps them.

        Several prompts may have any lengths; each gives what it gives by itself. Those of like lengths go on
        together, where the model gives the same then.

        Raises:
            InputError: a prompt that cannot be used, or is too long to go on from, a stop token that is none.
            SiteError, EditError: as `Model.run_with_cache`; and an edit that has no meaning for text that is
                not there yet.
        """
        asked, why = self._asked(prompts, n_tokens, edits, sample, stop, sites, cache)
        return Generated.of(asked.tokens, self._steps(asked, why), why=why)

    def stream(
        self,
        prompts: Prompts,
        n_tokens: int = 20,
        *,
        edits: Sequence[Edit | EditFrom] = (),
        sample: Sample | None = None,
        stop: Stop = "auto",
        sites: Sequence[SiteSpec] = (),
        cache: UseCache = "auto",
    ) -> Iterator[Step]:
        """As `generate`, token by token: a `Step` for each forward pass, as it is made.

        What cannot be done is refused at once, before the first step. The prompts of each length have steps
        of their own, which take turns.
        """
        return self._steps(*self._asked(prompts, n_tokens, edits, sample, stop, sites, cache))

    def _steps(self, asked: Asked, why: str) -> Iterator[Step]:
        def run(ids: Tensor, taps: Taps, past: Any | None) -> Tensor:
            with self._lock, torch.no_grad():
                return self.run_last(ids, taps, past)

        if why:
            return steps(asked, run, lambda: None, joins=lambda: False)
        return steps(asked, run, self.new_past, joins=self.goes_on_joined)

    def _asked(
        self,
        prompts: Prompts,
        n_tokens: int,
        edits: Sequence[Edit | EditFrom],
        sample: Sample | None,
        stop: Stop,
        sites: Sequence[SiteSpec],
        cache: UseCache,
    ) -> tuple[Asked, str]:
        """What is asked, checked; and why it is run uncached, if it is."""
        if n_tokens < 1:
            raise InputError(f"n_tokens must be at least 1; got {n_tokens}.")
        if cache not in ("auto", True, False):
            raise InputError(f"cache={cache!r} is no choice; use 'auto', true or false.")
        tokens, n_ctx = self.to_tokens(prompts), self.arch.n_ctx
        reads = parse_sites(sites, self.arch.n_layers)
        unread = 0 if reads else 1  # the last token is run only to read it
        if n_ctx is not None and max(tokens.lengths) + n_tokens - unread > n_ctx:
            raise InputError(
                f"The model reads at most {n_ctx} tokens, so that {n_tokens} more do not fit behind a prompt "
                f"of {max(tokens.lengths)}; shorten it, or lower n_tokens."
            )
        self._check(reads, [inner(edit) for edit in edits], tokens)
        for edit in edits:
            check_goes_on(edit)
            _check_start(edit, tokens)
        asked = Asked(tokens, n_tokens, tuple(edits), sample, self._stop_ids(stop), tuple(reads))
        why = "it was asked for" if cache is False else self._why_not_cached(asked)
        if why and cache is True:
            raise InputError(f"This cannot be generated from a cache: {why}; use cache='auto'.")
        return asked, why

    def _why_not_cached(self, asked: Asked) -> str:
        """Why this is run uncached; nothing where it is not."""
        for edit in map(inner, asked.edits):
            if isinstance(edit.value, Change) and not edit.value.by_position:
                return f"what the edit at {edit.address} does at a position may depend on others"
        scale = scales(self.hf_model)
        if any(scale(n) != scale(n + asked.n_tokens) for n in asked.tokens.lengths):
            return "rotary positions are scaled by the length of the text, earlier ones too"
        return self.why_uncached()

    def _stop_ids(self, stop: Stop) -> frozenset[int]:
        if not isinstance(stop, str):
            return frozenset(map(self.to_single_token, stop))
        if stop != "auto":
            raise InputError(f"stop is 'auto' or a list of tokens, not {stop!r}; put it into a list.")
        named = [
            getattr(getattr(self.hf_model, "generation_config", None), "eos_token_id", None),
            getattr(self.tokenizer, "eos_token_id", None),
        ]
        ids = [i for one in named for i in (one if isinstance(one, list) else [one]) if i is not None]
        return frozenset(i for i in ids if 0 <= i < self.arch.d_vocab)


def _check_start(edit: Edit | EditFrom, tokens: Tokens) -> None:
    """`EditError` where an edit starts at a position that a prompt does not have."""
    if not isinstance(edit, EditFrom) or edit.start == "generated":
        return
    rows = edit.edit.address.rows or range(len(tokens))
    shortest = min(tokens.lengths[row] for row in rows)
    if not -shortest <= edit.start < shortest:
        raise EditError(
            f"The edit at {edit.edit.address} starts at position {edit.start}, but there is a prompt of "
            f"{shortest} tokens; give a position of it, or 'generated'."
        )
