"""Causal tracing: at which layer and position does the information live that decides the answer?

Meng et al. 2022, "Locating and Editing Factual Associations in GPT", https://arxiv.org/abs/2202.05262
(noise on the subject); Vig et al. 2020, Wang et al. 2022 (interchange with a second prompt). The two
directions and what they show: Heimersheim & Nanda 2024, https://arxiv.org/abs/2404.15255

Two runs, clean and corrupted, and for each layer and position one run in which a single activation is
carried over from one to the other:

- *denoising*: the corrupted run with one clean activation. Recovery 1: that activation alone brings the
  clean answer back; it is sufficient, in this context.
- *noising*: the clean run with one corrupted activation. Recovery 0: without it the clean answer is
  lost; it is necessary, in this context.

Both are on one scale, ``recovery = (patched - corrupted) / (clean - corrupted)`` of the metric; it is
never clipped. When it misleads: information that lives in several places at once is missed by noising
one of them, and an interchange only shows what differs between the two prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.answers import AnswerLike
from interp.chat import is_messages
from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.answers import Measure
from interp.methods.common.pairs import Direction, differences
from interp.methods.common.question import Question, check_metric_and_direction
from interp.methods.patching.cells import Cells
from interp.methods.patching.results import CausalTracingResult
from interp.metrics import MetricKind
from interp.models.base import Cache, Exact, Model, Sweep
from interp.provenance import Provenance
from interp.sites import SITES
from interp.tokens import Prompt, Tokens

SMALL_ERROR = 0.05  # of the span: the standard error over draws of noise at which no more are drawn
Corruption = Literal["interchange", "noise"]
TRACE_SITES: tuple[str, ...] = tuple(
    s.name for s in SITES.values() if s.per_layer and s.axes[-1] == "d_model"
)


def causal_tracing(
    model: Model,
    *,
    clean: Prompt,
    corrupted: Prompt | None = None,
    answer: AnswerLike,
    foil: AnswerLike | None = None,
    site: str = "resid_pre",
    window: int = 1,
    direction: Direction = "denoising",
    corruption: Corruption = "interchange",
    subject: str | list[int] | None = None,
    sigma: float = 3.0,
    samples: int = 10,
    most_samples: int = 40,
    metric: MetricKind | None = None,
    seed: int = 0,
    batch_size: int = 64,
    exact: Exact = "auto",
) -> CausalTracingResult:
    """Patch every [layer, position] between a clean and a corrupted run and measure what comes back.

    Args:
        clean: the prompt that the model answers, as text or token ids.
        corrupted: for ``interchange``, a prompt of as many tokens whose answer is another.
        answer: the clean answer, of one token or several, in one form or several (`interp.answers`).
        foil: the answer to the corrupted prompt; needed for the metric ``logit_diff``.
        site: ``resid_pre``, ``resid_mid``, ``resid_post``, ``attn_out`` or ``mlp_out``.
        window: layers patched together, centred on each; ROME uses 10 for attention and MLP.
        direction: ``denoising`` or ``noising``; see the top of this module.
        corruption: ``interchange`` runs `corrupted`; ``noise`` adds Gaussian noise to the embeddings of
            the `subject` in the clean prompt, as in ROME.
        subject: for ``noise``, the part of the prompt to corrupt, or its positions.
        sigma: the noise's standard deviation, in standard deviations of the entries of the subject's
            embeddings, as the model adds them to the stream (scaled, where it scales them).
        samples: how many draws of noise to average over, at least.
        most_samples: as many more are drawn, until the standard error of the corrupted value is at most
            `SMALL_ERROR` of the span, or there are this many; the result tells what is left.
        metric: ``logit_diff``, ``prob``, ``log_prob`` or ``kl``; by default ``logit_diff`` with a foil and
            ``prob`` without one, of an answer of several tokens ``log_prob``.
        seed: of the noise. The same noise on every backend and device.
        batch_size: patched runs per forward pass, where they are not branches of one run.
        exact: ``auto`` computes the patched runs as branches of one run where the backend can; True takes
            plain forward passes; see `interp.Model.sweep`. The result records which it was.

    Raises:
        InputError: prompts that do not align or are the same, what is no answer, a subject that does not
            occur once.
        DegeneratePairError: clean and corrupted run differ too little in the metric to measure between.
    """
    check_metric_and_direction(metric, direction)
    _check_cells(model, site, window)
    _check_corruption(corruption, corrupted, subject, sigma, min(samples, most_samples))
    tokens = model.to_tokens(clean).repeat(1)
    measure = Measure.of(model, answer, foil, metric)
    if corrupted is not None:
        other = model.to_tokens(corrupted).repeat(1)
        corrupting = _Corrupting(other, differences(model, tokens, other))
    else:
        where = _subject_positions(model, clean, tokens, subject)
        std, typical = sigma * embedding_std(model, tokens, where), embedding_norm(model, tokens, where)
        noise = draw_noise(model, n_positions=len(where), std=std, samples=samples, seed=seed)
        corrupting = _Corrupting(tokens, where, noise, std, std * model.arch.d_model**0.5 / typical)

    clean_run = model.run_with_cache(measure.runs(tokens), [site])
    while True:
        runs = clean_run, corrupting.run(model, site, measure)
        question = Question.of_runs(
            model,
            prompts=(tokens, corrupting.tokens),
            clean=runs[0],
            corrupted=runs[1],
            differing=corrupting.positions,
            measure=measure,
            direction=direction,
        )
        more = min(2 * corrupting.samples, most_samples)
        if corrupting.noise is None or more <= corrupting.samples or _is_precise(question, runs[1]):
            break
        noise = draw_noise(model, n_positions=len(where), std=std, samples=more, seed=seed)
        corrupting = replace(corrupting, noise=noise)
    question.check_span()
    donor = runs[0] if direction == "denoising" else runs[1]
    branches = _branches(question, corrupting, donor, site, window)
    swept = model.sweep(question.base, branches, question.readout, batch_size=batch_size, exact=exact)
    return _result(question, corrupting, runs, swept, site=site, window=window, seed=seed)


def _branches(
    question: Question, corrupting: _Corrupting, donor: Cache, site: str, window: int
) -> list[list[Edit]]:
    """The edits of each patched run, by layer, position and sample: the corruption of the base run, and the
    donor's activations at `window` layers."""
    cells, n_layers = Cells(site, "position"), question.model.arch.n_layers
    n_runs = len(question.base_runs)
    branches = []
    for layer in range(n_layers):
        patched = range(max(0, layer - window // 2), min(n_layers, layer + (window + 1) // 2))
        for position in range(question.clean.lengths[0]):
            for sample in range(corrupting.samples):
                row = min(sample * n_runs, len(donor.tokens) - n_runs)  # the clean run is one for all samples
                noise = corrupting.edits(sample) if question.direction == "denoising" else []
                rows = slice(row, row + n_runs)
                patches = [cells.patch(one, position, donor[site, one][rows]) for one in patched]
                branches.append(noise + patches)
    return branches


def _result(
    question: Question,
    corrupting: _Corrupting,
    runs: tuple[Cache, Cache],
    swept: Sweep,
    *,
    site: str,
    window: int,
    seed: int,
) -> CausalTracingResult:
    model, (clean, corrupted) = question.model, runs
    shape = model.arch.n_layers, question.clean.lengths[0], corrupting.samples
    each = swept.values.view(shape).numpy()  # [layer, position, sample]
    values = each.mean(-1)
    unpatched = question.readout(corrupted.logits).cpu().numpy()  # [sample]
    probs = _answer_probs(question, corrupting, runs)
    return CausalTracingResult(
        provenance=Provenance.of(model, seed=seed),
        clean_tokens=tuple(model.labels(question.clean.row(0))),
        corrupted_tokens=tuple(model.labels(question.corrupted.row(0))),
        clean_prompt=question.texts[0],
        corrupted_prompt=question.texts[1],
        corrupted_positions=question.differing,
        answer=model.answer_label(question.answer),
        answer_id=question.answer.first,
        foil=None if question.foil is None else model.answer_label(question.foil),
        foil_id=None if question.foil is None else question.foil.first,
        site=site,
        window=window,
        direction=question.direction,
        corruption="interchange" if corrupting.noise is None else "noise",
        noise_std=corrupting.noise_std,
        samples=corrupting.samples,
        metric=question.metric,
        clean_value=question.clean_value,
        corrupted_value=question.corrupted_value,
        clean_answer_prob=probs[0],
        corrupted_answer_prob=probs[1],
        clean_top=_likeliest(model, clean, question.clean),
        corrupted_top=_likeliest(model, corrupted, question.corrupted),
        path=swept.path,
        values=values,
        recovery=question.recovery(values),
        several_tokens=not question.measure.at_once,
        noise_norm=corrupting.noise_norm,
        noise_of="" if corrupting.noise is None else "subject",
        corrupted_error=standard_error(unpatched),
        recovery_error=_recovery_error(each, unpatched, question),
    )


def _is_precise(question: Question, corrupted: Cache) -> bool:
    """Whether the corrupted value is known to `SMALL_ERROR` of the span."""
    error = standard_error(question.readout(corrupted.logits).cpu().numpy())
    return error is not None and error <= SMALL_ERROR * abs(question.span)


def standard_error(values: Float[np.ndarray, " sample"]) -> float | None:
    """That of a mean over draws; None of a single one."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _recovery_error(
    each: Float[np.ndarray, "layer position sample"],
    unpatched: Float[np.ndarray, " sample"],
    question: Question,
) -> Float[np.ndarray, "layer position"] | None:
    """The standard error of each recovery over draws of noise, which patched and corrupted runs share."""
    n = len(unpatched)
    if n == 1:
        return None
    recovery = question.recovery(each.mean(-1))[..., None]
    off = each - unpatched - recovery * (question.clean_value - unpatched)
    return np.asarray(off.std(-1, ddof=1) / np.sqrt(n) / abs(question.span))


def _answer_probs(
    question: Question, corrupting: _Corrupting, runs: tuple[Cache, Cache]
) -> tuple[float, float]:
    """The probability of the answer in the clean and the corrupted run, of this as the mean over samples."""
    prob = Measure(metric="prob", answer=question.answer, foil=None)
    if not question.answer.at_once or question.base_runs is not question.base:  # other runs than the metric's
        model = question.model
        clean = model.run_with_cache(prob.runs(question.clean), ())
        runs = clean, corrupting.run(model, None, prob)
    first, second = (float(prob.readout()(run.logits).mean()) for run in runs)
    return first, second


def _likeliest(model: Model, run: Cache, prompt: Tokens) -> str:
    """The likeliest next token of the first row, where the prompt ends."""
    return model.labels([int(run.logits[0, prompt.lengths[0] - 1].argmax())])[0]


# ---- the corrupted runs ----


@dataclass(frozen=True, eq=False)
class _Corrupting:
    """How corrupted runs are made: of another prompt, or of the clean one with several samples of noise."""

    tokens: Tokens  # one prompt
    positions: Sequence[int]  # at which the corrupted runs differ from the clean one at the input
    noise: Float[Tensor, "sample position d_model"] | None = None  # on the embeddings at these positions
    noise_std: float | None = None
    noise_norm: float | None = None  # its length, over the typical one of these embeddings

    @property
    def samples(self) -> int:
        return 1 if self.noise is None else len(self.noise)

    def edits(self, sample: int) -> list[Edit]:
        """What makes a run of the tokens this sample."""
        if self.noise is None:
            return []
        return [Edit.add("embed", value=self.noise[sample], positions=tuple(self.positions))]

    def run(self, model: Model, site: str | None, measure: Measure) -> Cache:
        """All samples, each with the runs of a measure, a row each."""
        sites = [] if site is None else [site]
        tokens = measure.runs(self.tokens.repeat(self.samples))
        if self.noise is None:
            return model.run_with_cache(tokens, sites)
        noise = self.noise.repeat_interleave(len(tokens) // self.samples, 0)
        edit = Edit.add("embed", value=noise, positions=tuple(self.positions))
        return model.run_with_cache(tokens, sites, [edit])


def draw_noise(
    model: Model, *, n_positions: int, std: float, samples: int, seed: int
) -> Float[Tensor, "sample position d_model"]:
    """Gaussian noise of a standard deviation, drawn on the CPU; the first draws are the same however many
    there are."""
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randn(n_positions, model.arch.d_model, generator=generator) for _ in range(samples)]
    return torch.stack(draws) * std


def embedding_norm(model: Model, tokens: Tokens, positions: Sequence[int]) -> float:
    """The typical norm (the median) of the embeddings at some positions of a prompt."""
    embedded = model.run_with_cache(tokens, ["embed"], logits=False)["embed"][0, list(positions)]
    return float(embedded.double().norm(dim=-1).median())


def embedding_std(model: Model, tokens: Tokens, positions: Sequence[int]) -> float:
    """The standard deviation of the entries of the embeddings at some positions of a prompt, in the units of
    the activation that noise is added to: not those of the embedding matrix, where a model scales it (Gemma:
    by the root of its width)."""
    embedded = model.run_with_cache(tokens, ["embed"], logits=False)["embed"][0, list(positions)]
    return float(embedded.double().std())


def _subject_positions(
    model: Model, clean: Prompt, tokens: Tokens, subject: str | list[int] | None
) -> list[int]:
    if subject is None:
        raise InputError("corruption='noise' needs a subject, the part of the prompt to corrupt.")
    if not isinstance(subject, str):
        n = tokens.lengths[0]
        positions = [int(p) for p in subject]
        if not positions or not all(-n <= p < n for p in positions):
            raise InputError(f"The subject's positions {positions} must lie within the prompt's {n} tokens.")
        return sorted({p % n for p in positions})
    if not isinstance(clean, str) and not is_messages(clean):
        raise InputError("With a prompt of token ids, give the subject as a list of positions.")
    return model.positions_of(clean, subject)


# ---- what is asked ----


def _check_cells(model: Model, site: str, window: int) -> None:
    check_choice("site", site, TRACE_SITES)
    model.check_site(site)
    if not 1 <= window <= model.arch.n_layers:
        raise InputError(f"The window must be 1 to {model.arch.n_layers} layers; got {window}.")


def _check_corruption(
    corruption: str,
    corrupted: Prompt | None,
    subject: str | list[int] | None,
    sigma: float,
    samples: int,
) -> None:
    """`InputError` where a kind of corruption lacks what it needs, or is given what it does not take."""
    check_choice("corruption", corruption, ("interchange", "noise"))
    if samples < 1 or not sigma >= 0:
        raise InputError(
            f"Noise needs sigma of at least 0 and at least one sample; got {sigma} and {samples}."
        )
    if corruption == "noise" and corrupted is not None:
        raise InputError("Noise corrupts the clean prompt itself; leave the corrupted prompt out.")
    if corruption == "interchange" and corrupted is None:
        raise InputError("Interchange needs a corrupted prompt; give one, or use corruption='noise'.")
    if corruption == "interchange" and subject is not None:
        raise InputError(
            "A subject is for corruption='noise'; interchange corrupts where the prompts differ."
        )
