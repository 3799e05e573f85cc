"""The result of generating text, without what computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from interp.results import Result, Stored


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading(Stored):
    """What was read at one site at every token of a text, prompt and continuation."""

    kind: ClassVar[str] = "reading"
    what: str  # "features of an SAE of demo-gpt2", "the logit lens after layer 3"
    site: str  # the hook name
    unit: str  # of the values: "activation", "probability"
    columns: tuple[str, ...]  # what each value is of: a feature, a token
    values: Float[np.ndarray, "pos value"]


@dataclass(frozen=True, eq=False, kw_only=True)
class GeneratedText(Stored):
    """One prompt and what the model went on to say."""

    kind: ClassVar[str] = "generated_text"
    prompt: str
    text: str  # what was said, without the token that ended it
    tokens: tuple[str, ...]  # of prompt and continuation, the one that ended it included
    n_prompt: int  # how many of them are the prompt's
    ids: tuple[int, ...]  # what was said
    log_probs: Float[np.ndarray, " said"]  # of each token that was said, as it was predicted, nats
    ended: bool  # by a token that ends a text; else as many tokens as were asked for
    readings: tuple[Reading, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class GenerateResult(Result):
    """What a model says after each prompt under some edits, and without them."""

    kind: ClassVar[str] = "generate"
    texts: tuple[GeneratedText, ...]
    unedited: tuple[GeneratedText, ...]  # of the same prompts; empty where nothing was edited
    edits: tuple[str, ...]  # in words
    chosen: str  # how tokens were chosen, in words
    path: str  # cached | uncached
    why: str  # it was run uncached, as the end of a sentence; empty where it was not
