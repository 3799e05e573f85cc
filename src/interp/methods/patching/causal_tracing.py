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

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.answers import answer_ids
from interp.methods.common.pairs import Direction, check_span, differences, strongest
from interp.metrics import METRICS, MetricKind
from interp.models.base import Cache, Exact, Model
from interp.provenance import Provenance
from interp.readout import metric_readout
from interp.results import Result
from interp.sites import SITES
from interp.tokens import Prompt, Tokens

Corruption = Literal["interchange", "noise"]
TRACE_SITES: tuple[str, ...] = tuple(
    s.name for s in SITES.values() if s.per_layer and s.axes[-1] == "d_model"
)

MEANING: dict[str, str] = {
    "denoising": "1: this clean activation alone, put into the corrupted run, brings the clean answer back "
    "(sufficient here); 0: it brings back nothing.",
    "noising": "0: this corrupted activation alone, put into the clean run, loses the clean answer "
    "(necessary here); 1: the answer does not depend on it alone.",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class CausalTracingResult(Result):
    """Recovery at each [layer, position], with the two baselines that it is measured between."""

    kind: ClassVar[str] = "causal_tracing"
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]  # the clean ones again where the corruption is noise
    corrupted_positions: tuple[int, ...]  # where the two runs differ at the input
    answer: str
    answer_id: int
    foil: str | None
    foil_id: int | None
    site: str
    window: int  # how many layers are patched at once, centred on each
    direction: str
    corruption: str
    noise_std: float | None  # of the noise added to each embedding entry
    samples: int
    metric: str
    clean_value: float
    corrupted_value: float  # mean over samples
    clean_answer_prob: float
    corrupted_answer_prob: float
    clean_top: str  # what the model says, unpatched
    corrupted_top: str  # of the first sample, where the corruption is noise
    path: str  # how the patched runs were computed: "branching" or "plain"
    values: Float[np.ndarray, "layer position"]  # the metric after each patch, mean over samples
    recovery: Float[np.ndarray, "layer position"]

    @property
    def meaning(self) -> str:
        """What a recovery of 0 and of 1 says, in this direction."""
        return MEANING[self.direction]

    @property
    def peak(self) -> tuple[int, int]:
        """(layer, position) of the strongest effect: highest recovery denoising, lowest noising."""
        return strongest(self.recovery, self.direction)


def causal_tracing(
    model: Model,
    *,
    clean: Prompt,
    corrupted: Prompt | None = None,
    answer: str | int,
    foil: str | int | None = None,
    site: str = "resid_pre",
    window: int = 1,
    direction: Direction = "denoising",
    corruption: Corruption = "interchange",
    subject: str | list[int] | None = None,
    sigma: float = 3.0,
    samples: int = 10,
    metric: MetricKind | None = None,
    seed: int = 0,
    batch_size: int = 64,
    exact: Exact = "auto",
) -> CausalTracingResult:
    """Patch every [layer, position] between a clean and a corrupted run and measure what comes back.

    Args:
        clean: the prompt that the model answers, as text or token ids.
        corrupted: for ``interchange``, a prompt of as many tokens whose answer is another.
        answer: the clean answer, text of exactly one token, or its id.
        foil: the answer to the corrupted prompt; needed for the metric ``logit_diff``.
        site: ``resid_pre``, ``resid_mid``, ``resid_post``, ``attn_out`` or ``mlp_out``.
        window: layers patched together, centred on each; ROME uses 10 for attention and MLP.
        direction: ``denoising`` or ``noising``; see the top of this module.
        corruption: ``interchange`` runs `corrupted`; ``noise`` adds Gaussian noise to the embeddings of
            the `subject` in the clean prompt, as in ROME.
        subject: for ``noise``, the part of the prompt to corrupt, or its positions.
        sigma: the noise's standard deviation, in standard deviations of the entries of the token
            embedding matrix.
        samples: how many draws of noise to average over.
        metric: ``logit_diff``, ``prob`` or ``kl``; by default ``logit_diff`` with a foil and ``prob``
            without one.
        seed: of the noise. The same noise on every backend and device.
        batch_size: patched runs per forward pass, where they are not branches of one run.
        exact: ``auto`` computes the patched runs as branches of one run where the backend can; True takes
            plain forward passes; see `interp.Model.sweep`. The result records which it was.

    Raises:
        InputError: prompts that do not align or are the same, an answer of several tokens, a subject
            that does not occur once.
        DegeneratePairError: clean and corrupted run differ too little in the metric to measure between.
    """
    metric = metric or ("prob" if foil is None else "logit_diff")
    _check_choices(model, site, window, direction, corruption, metric, sigma, samples)
    clean_tokens = model.to_tokens(clean).repeat(1)
    answer_id, foil_id = answer_ids(model, answer, foil, metric)

    clean_run = model.run_with_cache(clean_tokens, [site])
    if corruption == "interchange":
        if corrupted is None:
            raise InputError("Interchange needs a corrupted prompt; give one, or use corruption='noise'.")
        if subject is not None:
            raise InputError(
                "A subject is for corruption='noise'; interchange corrupts where the prompts differ."
            )
        corrupted_tokens = model.to_tokens(corrupted).repeat(1)
        where = differences(model, clean_tokens, corrupted_tokens)
        noise, samples = None, 1
        noise_edits: list[list[Edit]] = [[]]
        corrupted_run = model.run_with_cache(corrupted_tokens, [site])
    else:
        if corrupted is not None:
            raise InputError("Noise corrupts the clean prompt itself; leave the corrupted prompt out.")
        corrupted_tokens = clean_tokens
        where = _subject_positions(model, clean, clean_tokens, subject)
        noise = draw_noise(model, n_positions=len(where), sigma=sigma, samples=samples, seed=seed)
        noise_edits = [[Edit.add("embed", value=sample, positions=tuple(where))] for sample in noise]
        corrupted_run = model.run_with_cache(
            clean_tokens.repeat(samples), [site], [Edit.add("embed", value=noise, positions=tuple(where))]
        )

    measure = metric_readout(metric, answer=answer_id, foil=foil_id, clean_logits=clean_run.logits)
    clean_value = float(measure(clean_run.logits)[0])
    corrupted_value = float(measure(corrupted_run.logits).mean())
    check_span(clean_value, corrupted_value, metric)

    if direction == "denoising":
        base_tokens, base_edits, donor = corrupted_tokens, noise_edits, clean_run
    else:
        base_tokens, base_edits, donor = clean_tokens, [[] for _ in range(samples)], corrupted_run
    n_layers, n_pos = model.arch.n_layers, clean_tokens.lengths[0]
    branches = [
        base_edits[sample] + _patches(donor, site, layer, position, sample, window, n_layers)
        for layer in range(n_layers)
        for position in range(n_pos)
        for sample in range(samples)
    ]
    swept = model.sweep(base_tokens, branches, measure, batch_size=batch_size, exact=exact)
    values = swept.values.view(n_layers, n_pos, samples).mean(-1)  # [layer, position]

    def says(run: Cache) -> str:
        return model.labels([int(run.logits[0, -1].argmax())])[0]

    def prob(run: Cache) -> float:
        return float(run.logits[:, -1].double().softmax(-1)[:, answer_id].mean())

    return CausalTracingResult(
        provenance=Provenance.of(model, seed=seed),
        clean_tokens=tuple(model.labels(clean_tokens.row(0))),
        corrupted_tokens=tuple(model.labels(corrupted_tokens.row(0))),
        corrupted_positions=tuple(where),
        answer=model.labels([answer_id])[0],
        answer_id=answer_id,
        foil=None if foil_id is None else model.labels([foil_id])[0],
        foil_id=foil_id,
        site=site,
        window=window,
        direction=direction,
        corruption=corruption,
        noise_std=None if noise is None else _noise_std(model, sigma),
        samples=samples,
        metric=metric,
        clean_value=clean_value,
        corrupted_value=corrupted_value,
        clean_answer_prob=prob(clean_run),
        corrupted_answer_prob=prob(corrupted_run),
        clean_top=says(clean_run),
        corrupted_top=says(corrupted_run),
        path=swept.path,
        values=values.numpy(),
        recovery=((values - corrupted_value) / (clean_value - corrupted_value)).numpy(),
    )


def draw_noise(
    model: Model, *, n_positions: int, sigma: float, samples: int, seed: int
) -> Float[Tensor, "sample position d_model"]:
    """Gaussian noise of `sigma` standard deviations of the token embeddings' entries, drawn on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(samples, n_positions, model.arch.d_model, generator=generator)
    return noise * _noise_std(model, sigma)


def _noise_std(model: Model, sigma: float) -> float:
    return sigma * float(model.W_E.float().std())


def _patches(
    donor: Cache, site: str, layer: int, position: int, sample: int, window: int, n_layers: int
) -> list[Edit]:
    """The edits that carry the donor's activation over, at `window` layers centred on `layer`."""
    first, last = max(0, layer - window // 2), min(n_layers, layer + (window + 1) // 2)
    row = min(sample, len(donor.tokens) - 1)  # the clean run has one row for all samples
    return [
        Edit.set(site, i, value=donor[site, i][row, position], positions=(position,))
        for i in range(first, last)
    ]


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
    if not isinstance(clean, str):
        raise InputError("With a prompt of token ids, give the subject as a list of positions.")
    return model.positions_of(clean, subject)


def _check_choices(
    model: Model,
    site: str,
    window: int,
    direction: str,
    corruption: str,
    metric: str,
    sigma: float,
    samples: int,
) -> None:
    for kind, value, valid in (
        ("site", site, TRACE_SITES),
        ("direction", direction, tuple(MEANING)),
        ("corruption", corruption, ("interchange", "noise")),
        ("metric", metric, tuple(METRICS)),
    ):
        check_choice(kind, value, valid)
    model.check_site(site)
    if not 1 <= window <= model.arch.n_layers:
        raise InputError(f"The window must be 1 to {model.arch.n_layers} layers; got {window}.")
    if samples < 1 or not sigma >= 0:
        raise InputError(
            f"Noise needs sigma of at least 0 and at least one sample; got {sigma} and {samples}."
        )
