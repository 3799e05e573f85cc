"""What is kept of a run at its end: a logit difference, log-probabilities, a divergence, or logits.

A readout says which positions and which columns of the logits it looks at, so that a sweep computes no
others. The same readout measures a plain run, a batch, and the branches of a sweep.

An answer of several tokens is read in a run in which its own tokens follow the prompt, each predicted after
those before it; one of several forms, or one beside a foil, in as many runs as they go on differently. Such a
readout has several `parts`, each of one run; `Model.sweep` and `Model.gradients` are given the prompt and
make these runs themselves, and `runs` makes them for `Model.run_with_cache`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import index

import torch
from jaxtyping import Float
from torch import Tensor

from interp.answers import Answer, check_apart
from interp.errors import InputError
from interp.metrics import MetricKind
from interp.tokens import Tokens


class AnyReadout:
    """A function of some logits of one run, or of several runs of a prompt: what both kinds share."""

    @property
    def parts(self) -> tuple[Readout, ...]:
        """What is read of each run."""
        raise NotImplementedError

    def joined(self, values: Sequence[Tensor]) -> Tensor:
        """The values [row, ...] of what each part reads, [row, ...] as well."""
        raise NotImplementedError

    def runs(self, tokens: Tokens) -> Tokens:
        """The runs that are read, for each prompt of a batch one after the other: the prompt with what each
        part wants behind it. The batch itself where that is nothing."""
        follow = [part.continuation for part in self.parts]
        if follow == [()]:
            return tokens
        return Tokens.pad([[*tokens.row(row), *ids] for row in range(len(tokens)) for ids in follow])

    def __call__(self, logits: Float[Tensor, "row pos d_vocab"]) -> Tensor:
        """The values [prompt, ...] of `runs` whose logits are all there; the prompts are of one length."""
        parts, n_pos = self.parts, logits.shape[1]
        longest = max(len(part.continuation) for part in parts)
        values = []
        for i, part in enumerate(parts):
            own = logits[i :: len(parts), : n_pos - longest + len(part.continuation)]  # without padding
            chosen = own[:, list(part.positions)]
            values.append(part.of(chosen if part.columns is None else chosen[..., list(part.columns)]))
        return self.joined(values)


@dataclass(frozen=True, eq=False)
class Readout(AnyReadout):
    """A function of some logits of each run.

    `of` maps logits [row, position, column], those at `positions` and `columns` alone, to values [row, ...],
    by operations that torch can differentiate. Positions may be negative; None as columns means the whole
    vocabulary, which is needed for probabilities. The constructors below make the usual ones, in float64.

    In the run that is read, the tokens of `continuation` follow the prompt, and negative positions count from
    the end of these.
    """

    of: Callable[[Float[Tensor, "row position column"]], Tensor]
    positions: tuple[int, ...] = (-1,)
    columns: tuple[int, ...] | None = None
    continuation: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.positions:
            raise InputError("A readout looks at one position at least; give some, or leave them out.")

    @property
    def parts(self) -> tuple[Readout, ...]:
        return (self,)

    def joined(self, values: Sequence[Tensor]) -> Tensor:
        (value,) = values
        return value

    @classmethod
    def logits(cls, positions: int | Sequence[int] = -1) -> Readout:
        """All logits at some positions, [row, position, d_vocab], in the model's own precision."""
        return cls(lambda logits: logits, _several(positions))

    @classmethod
    def logit_diff(cls, answer: int | Answer, foil: int | Answer, *, position: int = -1) -> AnyReadout:
        """logit(answer) - logit(foil), [row]: the logarithm of how many times as likely as the foil the
        answer is. Of several forms, the logits' log-sum-exp takes the place of the logit; of sequences, of
        one length or two, their log-probabilities."""
        answer, foil = Answer.of(answer), Answer.of(foil)
        check_apart(answer, foil)
        if not (answer.at_once and foil.at_once):
            return of_log_probs([answer, foil], lambda log_p, log_q: log_p - log_q, position=position)
        columns = (*(ids[0] for ids in answer), *(ids[0] for ids in foil))
        n = len(answer.forms)

        def of(x: Tensor) -> Tensor:
            wide = widened(x)[:, 0]
            return wide[:, :n].logsumexp(-1) - wide[:, n:].logsumexp(-1)

        return cls(of, (position,), columns)

    @classmethod
    def prob(cls, answer: int | Answer, *, position: int = -1) -> AnyReadout:
        """The probability of an answer, [row]: of a sequence the product over its tokens, of several forms
        the sum."""
        answer = Answer.of(answer)
        if not answer.at_once:
            return of_log_probs([answer], torch.exp, position=position)
        ids = [form[0] for form in answer]
        return cls(lambda x: widened(x)[:, 0].softmax(-1)[:, ids].sum(-1), (position,))

    @classmethod
    def answer_log_prob(cls, answer: int | Answer, *, position: int = -1) -> AnyReadout:
        """The logarithm of the probability of an answer, in nats, [row]."""
        return of_log_probs([Answer.of(answer)], lambda log_p: log_p, position=position)

    @classmethod
    def token_log_probs(cls, form: Sequence[int]) -> Readout:
        """The log-probabilities in nats of the tokens of a sequence that follows the prompt, each where it is
        predicted after those before it, [row, token]; their sum is that of the sequence."""
        return replace(cls.log_prob(form, range(-len(form), 0)), continuation=tuple(form[:-1]))

    @classmethod
    def log_prob(cls, answers: int | Sequence[int], positions: int | Sequence[int] = -1) -> Readout:
        """Log-probabilities in nats of one token at each position, [row, position]; their negative mean is
        the loss of a text whose next tokens these are."""
        places, ids = _several(positions), torch.tensor(_several(answers))
        if len(places) != len(ids):
            raise InputError(
                f"There are {len(ids)} answers for {len(places)} positions; give one for each position."
            )

        def of(logits: Tensor) -> Tensor:
            wanted = ids.to(logits.device)[None, :, None].expand(len(logits), -1, 1)
            return widened(logits).log_softmax(-1).gather(-1, wanted)[..., 0]

        return cls(of, places)

    @classmethod
    def kl(cls, reference: Float[Tensor, "position d_vocab"], positions: int | Sequence[int] = -1) -> Readout:
        """KL(reference || run) in nats at each position, summed over them, [row]; 0 where they agree.

        `reference` are the logits of another run at these positions: the clean run's, or the base run's own.
        """
        places = _several(positions)
        if reference.ndim != 2 or len(reference) != len(places):
            raise InputError(
                f"The reference has shape {list(reference.shape)}; it must be logits [position, d_vocab] at "
                f"{len(places)} positions."
            )
        return cls(lambda x: kl_divergence(widened(reference).to(x.device), widened(x)).sum(-1), places)


@dataclass(frozen=True, eq=False)
class JointReadout(AnyReadout):
    """A function of what is read of several runs of a prompt, with a continuation of its own each.

    `of` maps the values of the parts, each with one last axis more than the result has, side by side on that
    axis: those of sequences, in the order of the parts.
    """

    of: Callable[[Float[Tensor, "row value"]], Tensor]
    readouts: tuple[Readout, ...]

    @property
    def parts(self) -> tuple[Readout, ...]:
        return self.readouts

    def joined(self, values: Sequence[Tensor]) -> Tensor:
        return self.of(torch.cat(list(values), -1))


# ---- answers of several tokens or forms ----


def of_log_probs(answers: Sequence[Answer], of: Callable[..., Tensor], *, position: int = -1) -> JointReadout:
    """A function of the log-probabilities [row] of some answers, in nats."""
    if position != -1 and not all(answer.at_once for answer in answers):
        raise InputError(
            f"An answer of several tokens is read where the prompt ends, not at position {position}; cut the "
            "prompt there."
        )
    forms = [form for answer in answers for form in answer]
    readouts, order = [], []
    for continuation, here in by_continuation(forms):
        readouts.append(_log_probs([forms[i] for i in here], continuation, position))
        order += here
    back = [order.index(i) for i in range(len(forms))]
    sizes = [len(answer.forms) for answer in answers]

    def joined(log_probs: Tensor) -> Tensor:  # [row, form], as the readouts have them
        return of(*(own.logsumexp(-1) for own in log_probs[:, back].split(sizes, -1)))

    return JointReadout(joined, tuple(readouts))


def by_continuation(forms: Sequence[tuple[int, ...]]) -> list[tuple[tuple[int, ...], list[int]]]:
    """Of the forms that may follow a prompt: what must stand behind it in each run in which some of them can
    be read, and which. A form is read in the first run that begins with all its tokens but the last."""
    contexts = list(dict.fromkeys(form[:-1] for form in forms))
    ends = [one for one in contexts if not any(one != o and one == o[: len(one)] for o in contexts)]
    found: list[tuple[tuple[int, ...], list[int]]] = [(end, []) for end in ends]
    for i, form in enumerate(forms):
        next(here for end, here in found if end[: len(form) - 1] == form[:-1]).append(i)
    return found


def _log_probs(forms: Sequence[tuple[int, ...]], continuation: tuple[int, ...], position: int) -> Readout:
    """The log-probabilities [row, form] of forms that are read in one run."""
    ends = [len(form) for form in forms]
    columns = torch.tensor([token for form in forms for token in form])
    places = torch.tensor([place for form in forms for place in range(len(form))])

    def of(logits: Tensor) -> Tensor:  # [row, place, d_vocab]
        found = widened(logits).log_softmax(-1)[:, places.to(logits.device), columns.to(logits.device)]
        return torch.stack([own.sum(-1) for own in found.split(ends, -1)], -1)

    positions = range(position - len(continuation), position + 1)
    return Readout(of, tuple(positions), None, continuation)


def kl_divergence(
    p_logits: Float[Tensor, "*p d_vocab"], q_logits: Float[Tensor, "*q d_vocab"]
) -> Float[Tensor, "*out"]:
    """KL(p || q) in nats of two predictions given as logits; never below 0 by rounding."""
    p, q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return torch.sum(p.exp() * (p - q), -1).clamp(min=0)


def widened(x: Tensor) -> Tensor:
    """In float64; in float32 on Apple's MPS, which has no float64."""
    return x.float() if x.device.type == "mps" else x.double()


def _several(given: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(map(index, given)) if isinstance(given, Iterable) else (index(given),)


def metric_readout(
    kind: MetricKind,
    *,
    answer: int | Answer,
    foil: int | Answer | None,
    clean_logits: Float[Tensor, "row pos d_vocab"] | None = None,
) -> AnyReadout:
    """The readout [row] of a metric where the prompt ends: ``logit_diff`` is logit(answer) - logit(foil),
    ``prob`` the answer's probability and ``log_prob`` its logarithm, ``kl`` the divergence KL(clean || run)
    in nats from the prediction of the clean run, of which these are the logits. `interp.metrics` says what
    they are of answers of several tokens or forms."""
    if kind == "logit_diff":
        assert foil is not None
        return Readout.logit_diff(answer, foil)
    if kind == "prob":
        return Readout.prob(answer)
    if kind == "log_prob":
        return Readout.answer_log_prob(answer)
    assert clean_logits is not None
    return Readout.kl(clean_logits[0, -1:])
