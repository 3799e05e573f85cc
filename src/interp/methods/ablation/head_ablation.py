"""Knock-out of some heads, on one prompt and on text: what moves, and would it move without any others?

The heads are taken out together, in one way or several, at all positions:

- ``zero``: their outputs z are zeros.
- ``mean``: z is its mean over all positions of the reference text.
- ``resample``: z is what it is in another text, at the same positions; the mean over `n_donors` such texts.

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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.answers import answer_ids
from interp.methods.common.heads import Head, find_heads
from interp.methods.common.question import default_metric
from interp.models.base import Cache, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import Readout, widened
from interp.results import Result
from interp.tasks.base import check_count
from interp.tasks.plain_text import plain_text
from interp.tasks.repeated_tokens import repeated_sequences
from interp.tokens import Prompt, Tokens

Kind = Literal["zero", "mean", "resample"]
KINDS: tuple[str, ...] = ("zero", "mean", "resample")
LOSSES: tuple[str, ...] = ("prompt_loss", "text_loss", "copy_loss")


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadAblationResult(Result):
    """What is measured before, without the heads, and without as many random ones.

    The first of `measures` is ``logit_diff``, or ``prob`` where there is no foil; the others are losses in
    nats a token: of the prompt, of text, and of the second copy of random tokens.
    """

    kind: ClassVar[str] = "head_ablation"
    tokens: tuple[str, ...]
    heads: tuple[tuple[int, int], ...]
    answer: str
    foil: str | None
    kinds: tuple[str, ...]
    measures: tuple[str, ...]
    before: Float[np.ndarray, " measure"]
    after: Float[np.ndarray, "kind measure"]
    random_heads: tuple[tuple[tuple[int, int], ...], ...]  # of each draw
    random: Float[np.ndarray, "kind draw measure"]
    n_reference: int  # sequences of text that means and donors are of
    n_donors: int
    n_texts: int  # sequences of text, and as many of random tokens, that the losses are of
    text_length: int
    copy_length: int
    path: str  # branching | plain

    @property
    def change(self) -> Float[np.ndarray, "kind measure"]:
        """After - before."""
        return self.after - self.before


def head_ablation(
    model: Model,
    prompt: Prompt,
    heads: Sequence[str | Sequence[int]],
    *,
    answer: str | int,
    foil: str | int | None = None,
    kinds: Sequence[str] = KINDS,
    n_random: int = 3,
    n_reference: int = 12,
    n_donors: int = 2,
    n_texts: int = 2,
    text_length: int = 64,
    copy_length: int = 25,
    seed: int = 0,
) -> HeadAblationResult:
    """Take heads out, all together, and see what moves on a prompt and on text.

    Args:
        heads: such as ``["5.1", "2.4"]`` or ``[(5, 1)]``.
        answer, foil: one token each; without a foil, the answer's probability is measured.
        kinds: some of ``zero``, ``mean`` and ``resample``.
        n_random: draws of as many random heads.
        n_reference, n_donors: sequences of text that means are over, and how many of them are resampled from.
        n_texts, text_length, copy_length: how many sequences the losses are measured on, and their lengths.
        seed: of all that is drawn: texts, random tokens, random heads and donors.

    Raises `InputError` for heads and kinds that are not there, an answer or a foil that is not one token or
    the same, a prompt of one token, lengths that the model does not read, and a model without a tokenizer.
    `SiteError` where the backend does not reach z.
    """
    chosen = find_heads(model.arch, heads)
    tokens = model.to_tokens(prompt).repeat(1)
    metric = answer_ids(model, answer, foil, default_metric(foil))
    for kind in kinds:
        check_choice("kind of knock-out", kind, KINDS)
    if not kinds or len(set(kinds)) != len(kinds):
        raise InputError("Name at least one kind of knock-out, and each once.")
    if tokens.lengths[0] < 2:
        raise InputError("The prompt is a single token, so that none of it is predicted; type some more.")
    check_count(n_random, of="n_random")
    if not 1 <= n_donors <= n_reference:
        raise InputError(f"n_donors must lie between 1 and n_reference={n_reference}; got {n_donors}.")

    rng = random.Random(f"knock-out {seed}")
    every = find_heads(model.arch, None)
    draws = tuple(tuple(sorted(rng.sample(every, len(chosen)))) for _ in range(n_random))
    sets = (chosen, *draws)
    longest = max(tokens.lengths[0], text_length, 2 * copy_length + 1)
    longest = longest if model.arch.n_ctx is None else min(longest, model.arch.n_ctx)
    reference = plain_text(model, n=n_reference, length=longest, seed=2 * seed)
    layers = sorted({layer for one in sets for layer, _ in one})
    cache = model.run_with_cache(reference, [("z", layer) for layer in layers])

    measured: list[tuple[Tokens, Readout, int]] = [(tokens, _prompt_readout(tokens, metric), 0)]
    for ids in plain_text(model, n=n_texts, length=text_length, seed=2 * seed + 1):
        measured.append((model.to_tokens(ids), _loss(ids, range(1, len(ids))), 1))
    repeated = repeated_sequences(model, n=n_texts, length=copy_length, seed=seed)
    for ids in repeated.ids:  # that copying begins is not said by the text
        measured.append((model.to_tokens(ids), _loss(ids, repeated.second_copy[1:]), 2))

    found: list[list[Tensor]] = [[], [], []]  # prompt, text, random tokens: [branch, ...] of each sequence
    paths = set()
    for number, (text, readout, which) in enumerate(measured):
        report("texts", number, len(measured))
        donors = rng.sample(range(n_reference), n_donors)
        branches = [
            [edit for head in one for edit in _edits(head, way, cache, text.lengths[0])]
            for one in sets
            for kind in kinds
            for way in (donors if kind == "resample" else [kind])
        ]
        swept = model.sweep(text, [[], *branches], readout)
        paths.add(swept.path)
        found[which].append(swept.values)
    report("texts", len(measured), len(measured))

    on_prompt, *on_texts = found
    columns = [on_prompt[0], *(torch.stack(of).mean(0)[:, None] for of in on_texts)]
    values = torch.cat(columns, dim=1).numpy()  # [branch, measure]
    after = _by_kind(values[1:], len(sets), kinds, n_donors)  # [set, kind, measure]
    return HeadAblationResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(tokens.row(0))),
        heads=chosen,
        answer=model.labels([metric[0]])[0],
        foil=None if metric[1] is None else model.labels([metric[1]])[0],
        kinds=tuple(kinds),
        measures=("prob" if foil is None else "logit_diff", *LOSSES),
        before=values[0],
        after=after[0],
        random_heads=draws,
        random=after[1:].transpose(1, 0, 2),
        n_reference=n_reference,
        n_donors=n_donors,
        n_texts=n_texts,
        text_length=text_length,
        copy_length=copy_length,
        path=" and ".join(sorted(paths)),
    )


def _prompt_readout(tokens: Tokens, metric: tuple[int, int | None]) -> Readout:
    """The metric at the last position and the loss of all tokens but the first, [row, 2]."""
    (answer, foil), ids = metric, torch.tensor(tokens.row(0))

    def of(logits: Tensor) -> Tensor:
        log_probs = widened(logits).log_softmax(-1)  # [row, pos, d_vocab]
        last = log_probs[:, -1]
        said = last[:, answer].exp() if foil is None else last[:, answer] - last[:, foil]
        next_ids = ids[1:].to(logits.device)[None, :, None].expand(len(logits), -1, 1)
        return torch.stack([said, -log_probs[:, :-1].gather(-1, next_ids)[..., 0].mean(-1)], dim=1)

    return Readout(of, tuple(range(len(ids))))


def _loss(ids: Sequence[int], positions: Sequence[int]) -> Readout:
    """The mean loss of the tokens at `positions`, [row]."""
    log_prob = Readout.log_prob([ids[i] for i in positions], [i - 1 for i in positions])
    return Readout(lambda logits: -log_prob.of(logits).mean(-1), log_prob.positions)


def _edits(head: Head, way: str | int, cache: Cache, n_pos: int) -> list[Edit]:
    """What takes one head out: zeros, its mean, or what it is in the reference sequence of number `way`."""
    layer, index = head
    if way == "zero":
        return [Edit.zero("z", layer, heads=index)]
    z = cache["z", layer][:, :, index]  # [sequence, pos, d_head]
    if isinstance(way, int):
        return [Edit.set("z", layer, value=z[way, :n_pos, None], heads=index)]
    return [Edit.set("z", layer, value=z.double().mean((0, 1)).to(z.dtype), heads=index)]


def _by_kind(
    values: Float[np.ndarray, "branch measure"], n_sets: int, kinds: Sequence[str], n_donors: int
) -> Float[np.ndarray, "set kind measure"]:
    """The branches of each set and kind, the mean over donors."""
    by_set = values.reshape(n_sets, -1, values.shape[1])
    ends = np.cumsum([n_donors if kind == "resample" else 1 for kind in kinds])
    return np.stack([part.mean(1) for part in np.split(by_set, ends[:-1], axis=1)], axis=1)
