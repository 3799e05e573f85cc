"""Head ablation on one prompt and on text: what moves without some heads, and would it without any others?

The heads are knocked out together, in one way or several, at all positions:

- ``zero``, zero ablation: their outputs z are zeros.
- ``mean``, mean ablation: z is its mean over all positions of the reference text.
- ``resample``, resample ablation: z is what it is in another text, at the same positions; the mean over
  `n_donors` such texts.

Measured are the logit difference (or the answer's probability) at the prompt's end, the loss on the prompt,
the loss on other text, and the loss on the second copy of random tokens said twice. Beside it stands what
happens without as many heads drawn at random from all of the model's.

The reference and the other text are simple English (`interp.tasks.plain_text`). For means over the prompts
of a task, and for intervals over many prompts, use `interp.ablation`.

When it misleads: as any ablation, see `interp.methods.ablation.ablation`. It is one prompt; the texts are
few, so that a loss says how much, not how surely. And heads can matter on text for what they do not do on
this prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.answers import AnswerLike
from interp.edits import Edit
from interp.errors import InputError
from interp.methods.ablation.replacement import Key, check_kinds, replace_component
from interp.methods.ablation.results import HeadAblationResult, TextSizes
from interp.methods.common.answers import Measure
from interp.methods.common.first_choice import first_choices
from interp.methods.common.heads import find_heads
from interp.methods.common.names import Component, Head
from interp.methods.common.outliers import find_outliers
from interp.methods.common.over_pairs import Parts, likeliest, over_pairs
from interp.models.base import Cache, Model
from interp.provenance import Provenance
from interp.readout import AnyReadout, JointReadout, Readout, of_log_probs
from interp.tasks.base import check_count
from interp.tasks.plain_text import plain_text
from interp.tasks.repeated_tokens import repeated_sequences
from interp.tokens import Prompt, Tokens

Kind = Literal["zero", "mean", "resample"]
KINDS: tuple[Kind, ...] = ("zero", "mean", "resample")
LOSSES: tuple[str, ...] = ("prompt_loss", "text_loss", "copy_loss")


def head_ablation(
    model: Model,
    prompt: Prompt,
    heads: Sequence[str | Sequence[int]],
    *,
    answer: AnswerLike,
    foil: AnswerLike | None = None,
    kinds: Sequence[str] = KINDS,
    n_random: int = 3,
    n_reference: int = 12,
    n_donors: int = 2,
    n_texts: int = 2,
    text_length: int = 64,
    copy_length: int = 25,
    include_outliers: bool = False,
    seed: int = 0,
) -> HeadAblationResult:
    """Knock out heads, all together, and see what moves on a prompt and on text.

    Args:
        heads: such as ``["5.1", "2.4"]`` or ``[(5, 1)]``.
        answer, foil: of one token or several, in one form or several (`interp.answers`); without a foil, the
            answer's probability is measured, of several tokens its logarithm.
        kinds: some of ``zero``, ``mean`` and ``resample``.
        n_random: draws of as many random heads.
        n_reference, n_donors: sequences of text that means are over, and how many of them are resampled from.
        n_texts, text_length, copy_length: how many sequences the losses are measured on, and their lengths.
        include_outliers: ablate also positions whose norm is an outlier, and take them into means; see
            `interp.ablation`.
        seed: of all that is drawn: texts, random tokens, random heads and donors.

    Raises `InputError` for heads and kinds that are not there, what is no answer or foil or the same, a
    prompt of one token, lengths that the model does not read, and a model without a tokenizer. `SiteError`
    where the backend does not reach z.
    """
    chosen = find_heads(model.arch, heads)
    tokens = model.to_tokens(prompt).repeat(1)
    measure = Measure.of(model, answer, foil)
    kinds = check_kinds(kinds, KINDS)
    sizes = TextSizes(
        n_reference=n_reference,
        n_donors=n_donors,
        n_texts=n_texts,
        text_length=text_length,
        copy_length=copy_length,
    )
    _check(tokens, sizes, n_random)

    rng = random.Random(f"knock-out {seed}")
    draws = _random_heads(model, len(chosen), n_random, rng)
    sets = (chosen, *draws)
    texts = [_prompt(tokens, measure), *_texts(model, sizes, seed), *_copies(model, sizes, seed)]
    reference_texts = _reference_texts(model, texts[0].n_pos, sizes, seed)
    outliers = find_outliers(
        model, [*(text.tokens.row(0) for text in texts), *reference_texts], include=include_outliers
    )
    texts = [replace(text, left_alone=own) for text, own in zip(texts, outliers.at, strict=False)]
    reference = _Reference.of(
        model, reference_texts, {head for one in sets for head in one}, outliers.at[len(texts) :]
    )

    donors = [rng.sample(range(n_reference), n_donors) for _ in texts]

    def measured(number: int) -> dict[str, np.ndarray]:
        text = texts[number]
        branches = _branches(model, reference, sets, kinds, donors[number], text)
        swept = model.sweep(text.tokens, branches, text.readout)
        return {"values": swept.values.numpy(), "path": np.array(swept.path)}

    how = [list(kinds), [list(map(str, one)) for one in sets], vars(sizes), include_outliers, seed]
    asked = [measure.answer.key, None if measure.foil is None else measure.foil.key]

    def key(number: int) -> dict[str, Any]:
        ids = texts[number].tokens.row(0)
        among = {"head_ablation": how, "number": number, "ids": ids, "answers": asked}
        return among | likeliest(model, ids)

    parts = over_pairs(
        len(texts),
        int,
        measured,
        key=key,
        describe=lambda number: repr(model.to_text(texts[number].tokens.row(0))),
        task="texts",
    )
    values = _measures(parts, n_texts)
    after = _by_kind(values[1:], len(sets), kinds, n_donors)  # [set, kind, measure]
    return HeadAblationResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(tokens.row(0))),
        prompt=model.to_text(tokens.row(0)),
        heads=chosen,
        answer=model.answer_label(measure.answer),
        foil=None if measure.foil is None else model.answer_label(measure.foil),
        kinds=kinds,
        measures=(measure.metric, *LOSSES),
        before=values[0],
        after=after[0],
        random_heads=draws,
        random=after[1:].transpose(1, 0, 2),
        text_sizes=sizes,
        outliers=replace(outliers, positions=outliers.positions[: len(texts)]),
        path=parts.path,
        several_tokens=not measure.at_once,
        clean_top=model.labels(first_choices(model, [tokens.row(0)]))[0],
    )


def _check(tokens: Tokens, sizes: TextSizes, n_random: int) -> None:
    if tokens.lengths[0] < 2:
        raise InputError("The prompt is a single token, so that none of it is predicted; type some more.")
    check_count(n_random, of="n_random")
    if not 1 <= sizes.n_donors <= sizes.n_reference:
        raise InputError(
            f"n_donors must lie between 1 and n_reference={sizes.n_reference}; got {sizes.n_donors}."
        )


def _random_heads(model: Model, n: int, n_draws: int, rng: random.Random) -> tuple[tuple[Head, ...], ...]:
    """Draws of `n` heads from all of the model's."""
    every = find_heads(model.arch, None)
    return tuple(tuple(sorted(rng.sample(every, n))) for _ in range(n_draws))


# ---- what is measured, and on what ----


@dataclass(frozen=True, eq=False)
class _Text:
    """A sequence, and what is measured on it."""

    tokens: Tokens
    readout: AnyReadout
    left_alone: tuple[int, ...] = ()  # positions at which zeros and means put nothing

    @property
    def n_pos(self) -> int:
        """Of the longest run that is measured: where an answer follows the text, with this."""
        return max(self.readout.runs(self.tokens).lengths)


#: What each metric is of the log-probabilities of answer and foil.
_OF_LOG_PROBS: dict[str, Callable[..., Tensor]] = {
    "logit_diff": lambda answer, foil: answer - foil,
    "prob": torch.exp,
    "log_prob": lambda answer: answer,
}


def _prompt(tokens: Tokens, measure: Measure) -> _Text:
    """The metric where the prompt ends and the loss of all its tokens but the first, [row, 2]. The loss is
    read in the first of the runs in which the answer is."""
    answers = [measure.answer] if measure.foil is None else [measure.answer, measure.foil]
    metric = of_log_probs(answers, _OF_LOG_PROBS[measure.metric])
    first, *others = metric.readouts
    ids = tokens.row(0)
    loss = Readout.log_prob(ids[1:], range(len(ids) - 1))

    def both(logits: Tensor) -> Tensor:  # [row, pos, d_vocab]
        of_prompt = -loss.of(logits[:, : len(ids) - 1]).mean(-1, keepdim=True)
        return torch.cat([of_prompt, first.of(logits[:, len(ids) - 1 :])], 1)

    def of(values: Tensor) -> Tensor:
        return torch.stack([metric.of(values[:, 1:]), values[:, 0]], dim=1)

    positions = range(len(ids) + len(first.continuation))
    whole = Readout(both, tuple(positions), None, first.continuation)
    return _Text(tokens, JointReadout(of, (whole, *others)))


def _texts(model: Model, sizes: TextSizes, seed: int) -> list[_Text]:
    """The loss of all tokens but the first of simple English, [row] each."""
    texts = plain_text(model, n=sizes.n_texts, length=sizes.text_length, seed=2 * seed + 1)
    return [_loss(model, ids, range(1, len(ids))) for ids in texts]


def _copies(model: Model, sizes: TextSizes, seed: int) -> list[_Text]:
    """The loss of the second copy of random tokens, [row] each; without its first token, as nothing says that
    a copy begins."""
    repeated = repeated_sequences(model, n=sizes.n_texts, length=sizes.copy_length, seed=seed)
    return [_loss(model, ids, repeated.second_copy[1:]) for ids in repeated.ids]


def _loss(model: Model, ids: Sequence[int], positions: Sequence[int]) -> _Text:
    """The mean loss of the tokens at `positions`, [row]."""
    log_prob = Readout.log_prob([ids[i] for i in positions], [i - 1 for i in positions])
    return _Text(
        model.to_tokens(ids), Readout(lambda logits: -log_prob.of(logits).mean(-1), log_prob.positions)
    )


def _measures(parts: Parts, n_texts: int) -> Float[np.ndarray, "branch measure"]:
    """The metric and the loss of the prompt, and the mean losses of the texts and of the copies."""
    on_prompt, *on_texts = (part["values"] for part in parts.each)
    losses = [np.mean(of, axis=0)[:, None] for of in (on_texts[:n_texts], on_texts[n_texts:])]
    return np.concatenate([on_prompt, *losses], axis=1)


def _by_kind(
    values: Float[np.ndarray, "branch measure"], n_sets: int, kinds: Sequence[str], n_donors: int
) -> Float[np.ndarray, "set kind measure"]:
    """The branches of each set and kind, the mean over donors."""
    by_set = values.reshape(n_sets, -1, values.shape[1])
    ends = np.cumsum([n_donors if kind == "resample" else 1 for kind in kinds])
    return np.stack([part.mean(1) for part in np.split(by_set, ends[:-1], axis=1)], axis=1)


# ---- what is in the heads' place ----


@dataclass(frozen=True, eq=False)
class _Reference:
    """The heads' outputs z in the reference text."""

    cache: Cache
    means: dict[Key, Tensor]  # over all sequences and positions, [1, head, d_head]

    @classmethod
    def of(
        cls,
        model: Model,
        texts: Sequence[Sequence[int]],
        heads: set[Head],
        left_out: Sequence[tuple[int, ...]],
    ) -> _Reference:
        keys = [("z", layer) for layer in sorted({layer for layer, _ in heads})]
        cache = model.run_with_cache(texts, keys, logits=False)
        kept = torch.ones(len(texts), len(texts[0]), dtype=torch.bool)
        for row, positions in enumerate(left_out):
            kept[row, list(positions)] = False
        means = {}
        for key in keys:
            value = cache[key]  # [text, pos, head, d_head]
            means[key] = value[kept.to(value.device)].double().mean(0)[None].to(value.dtype)
        return cls(cache, means)

    def activation(self, donor: int | None, n_pos: int, key: Key) -> Tensor:
        """What z is in the donor, [1, pos, head, d_head]; without one, its mean."""
        return (self.means[key] if donor is None else self.cache[key][donor, :n_pos])[None]


def _reference_texts(model: Model, n_prompt: int, sizes: TextSizes, seed: int) -> list[tuple[int, ...]]:
    """Sequences of simple English, as long as the longest text that is measured."""
    longest = max(n_prompt, sizes.text_length, 2 * sizes.copy_length + 1)
    longest = longest if model.arch.n_ctx is None else min(longest, model.arch.n_ctx)
    return plain_text(model, n=sizes.n_reference, length=longest, seed=2 * seed)


def _branches(
    model: Model,
    reference: _Reference,
    sets: Sequence[Sequence[Head]],
    kinds: Sequence[str],
    donors: Sequence[int],
    text: _Text,
) -> list[list[Edit]]:
    """The edits of each run of a text: none, then those of each set and kind, and of each donor."""
    branches: list[list[Edit]] = [[]]
    n_pos, left = min(text.readout.runs(text.tokens).lengths), text.left_alone
    for heads in sets:
        components = [Component(kind="head", layer=layer, index=head) for layer, head in heads]
        for kind in kinds:
            for donor in donors if kind == "resample" else (None,):
                activation = partial(reference.activation, donor, text.n_pos)
                at = tuple(i for i in range(n_pos) if i not in left) if left and kind != "resample" else None
                edits = [replace_component(model, one, kind, activation, positions=at) for one in components]
                branches.append([edit for of_head in edits for edit in of_head])
    return branches
