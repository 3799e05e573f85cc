"""Indirect objects from end to end: which heads name the one who was not said twice, and how.

Wang et al. 2022, "Interpretability in the Wild" (https://arxiv.org/abs/2211.00593), step by step, on any
model; what is found is the model's own, and nothing is carried over from GPT-2:

1. Baseline: logit(IO) - logit(S) over the templates, and on one prompt with the roles of its names swapped.
2. Every head by patching from prompts with three other names (p_ABC): its total effect, and its direct
   effect on the logits (path patching, in which heads are frozen and MLPs recomputed, as in the paper);
   beside these its direct logit attribution, in which MLPs have their own part.
3. Name movers: heads whose direct effect lowers the difference when it is taken away, that look from END to
   IO, and that copy the name they look at. Negative name movers: the same with the sign turned round.
   Others that act on the logits directly, but fail one of these tests, are kept apart.
4. S-inhibition heads: those that act on the queries at END of the heads that raise the difference, and look
   from END to S2.
5. Induction and duplicate-token heads: those that act on what S-inhibition heads read at S2, and look from S2
   to S1+1, or to S1. Previous-token heads: those that act on the induction heads' keys at S1+1, and look from
   S1+1 to S1.
6. Knock-outs of every class, by the mean over prompts of the same template; and the faithfulness of the
   paper's classes together, beside random heads, with MLPs left as they are. Heads that have a total effect
   and are in no class are listed, and a circuit with them, too, stands beside that of the classes.

A head "acts" where it changes the difference by `least` of the clean one, and "looks" there with `attends` of
its attention or more. When it misleads: thresholds make classes out of what comes in degrees, so the maps
stand beside them. A model may do the task in another way than GPT-2 does, and a class may stay empty; that is
seen in the faithfulness. Backup heads, which act only when others are gone, are not
looked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from interp.errors import InputError
from interp.methods.ablation.ablation import ablation
from interp.methods.circuits.faithfulness import faithfulness
from interp.methods.common.circuit import Circuit
from interp.methods.common.first_choice import pairs_with_choices
from interp.methods.common.heads import Head, head_name
from interp.methods.common.names import node_name
from interp.methods.studies.head_classes import Study, effects_on_logits, find_classes, looks_and_copies
from interp.methods.studies.published import PUBLISHED_HEADS
from interp.methods.studies.results import CircuitAlone, ClassAblation, IOIBaseline, IOIResult, RoleSwap
from interp.models.base import Exact, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.tasks.base import PairDataset
from interp.tasks.indirect_objects import indirect_objects, role_swaps
from interp.tasks.inspection import inspect_dataset

_STEPS = 6


def ioi(
    model: Model,
    dataset: PairDataset | None = None,
    *,
    n: int = 60,
    templates: str | Sequence[str] = "paper",
    names: tuple[str, str] = ("John", "Mary"),
    least: float = 0.02,
    attends: float = 0.2,
    n_random: int = 5,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> IOIResult:
    """Run all steps on `n` prompts, or on a dataset of one's own.

    Args:
        dataset: pairs of clean and p_ABC prompts with the roles IO, S1, S1+1, S2 and END, each template with
            several prompts; the roles of names are then not swapped. None: `n` prompts are made.
        templates: see `interp.tasks.indirect_objects.indirect_objects`; each needs several prompts, over
            which its means are taken.
        names: of the prompt whose roles are swapped.
        least: the share of the clean difference that a head must change to act on something.
        attends: the share of its attention that a head must pay to look somewhere.
        n_random: circuits of as many random heads, beside which the found one is measured.
        exact, batch_size: see `interp.Model.sweep`.
        seed: of the prompts, the random circuits and the bootstraps.

    Raises:
        InputError: words that are not single tokens, too few prompts for their templates, or a model of which
            no head acts on the logits.
        SiteError: the backend does not reach q, k, v or the pattern.
        DegeneratePairError: the model hardly tells the clean prompts from the others.
    """
    if not 0 < least < 1 or not 0 < attends < 1:
        raise InputError(f"least and attends are shares between 0 and 1; got {least} and {attends}.")
    swaps: tuple[RoleSwap, ...] = ()
    if dataset is None:
        dataset = indirect_objects(model, n=n, corruption="abc", templates=templates, seed=seed)
        swaps = _role_swaps(model, names)
    _check(model, dataset)
    study = Study(model=model, dataset=dataset, exact=exact, batch_size=batch_size, seed=seed)

    baseline = _baseline(study, swaps)
    report("steps", 0, _STEPS)
    to_logits = study.paths(["logits"], totals=True)
    maps = effects_on_logits(study, to_logits)
    report("steps", 1, _STEPS)
    maps |= looks_and_copies(study)
    report("steps", 2, _STEPS)
    acts = least * float(baseline.logit_diff.mean())
    classes, maps = find_classes(study, maps, least=acts, attends=attends)
    report("steps", 4, _STEPS)
    ablations = _without_classes(study, classes)
    report("steps", 5, _STEPS)
    circuits = _circuits_alone(study, classes, n_random)
    report("steps", 6, _STEPS)
    return IOIResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_with_choices(model, dataset),
        baseline=baseline,
        maps=maps,
        least=least,
        attends=attends,
        classes={name: _names(heads) for name, heads in classes.items()},
        ablations=ablations,
        circuits=circuits,
        path=to_logits.path,
    )


def _check(model: Model, dataset: PairDataset) -> None:
    """Refuse prompts that have no mean over their template, and a backend that does not reach heads."""
    few = [template for template, own in dataset.by_template().items() if len(own) < 2]
    if few:
        raise InputError(
            f"{len(few)} templates (in one order or the other) have one prompt alone, so there is no mean "
            f"over them; take n={2 * len(dataset.by_template())} or more, or fewer templates."
        )
    for site in ("q", "k", "v", "pattern"):
        model.check_site(site)


# ---- step 1: can the model do it? ----


def _role_swaps(model: Model, names: tuple[str, str]) -> tuple[RoleSwap, ...]:
    """One prompt with each of two names as the subject."""
    found = inspect_dataset(model, role_swaps(model, names=[names]))
    parts = zip(found.pairs.prompts, found.pairs.answers, found.clean_logit_diff.tolist(), strict=True)
    return tuple(RoleSwap(prompt=prompt, answer=answer, logit_diff=value) for prompt, answer, value in parts)


def _baseline(study: Study, swaps: tuple[RoleSwap, ...]) -> IOIBaseline:
    found = inspect_dataset(study.model, study.dataset)
    return IOIBaseline(
        logit_diff=found.clean_logit_diff,
        corrupted_logit_diff=found.corrupted_logit_diff,
        prob=found.clean_prob,
        swaps=swaps,
    )


# ---- step 6: without the classes, and they alone ----


def _without_classes(study: Study, classes: Mapping[str, Sequence[Head]]) -> tuple[ClassAblation, ...]:
    """The model without each class that has heads, and without all of them."""
    sets = {name: list(heads) for name, heads in classes.items() if heads}
    if not sets:
        raise InputError("No head acts; look at the maps of an activation_patching, or lower `least`.")
    if len(sets) > 1:
        sets["all of them"] = [head for heads in sets.values() for head in heads]
    nodes = [[node_name(head) for head in heads] for heads in sets.values()]
    lost = ablation(study.model, study.dataset, nodes, kinds="mean_by_template", **study.options)
    change = lost.change.interval[0]  # [set], of the one kind
    return tuple(
        ClassAblation(name=name, heads=_names(heads), after=float(lost.after[0, i]), change=change[i])
        for i, (name, heads) in enumerate(sets.items())
    )


def _circuits_alone(
    study: Study, classes: Mapping[str, Sequence[Head]], n_random: int
) -> tuple[CircuitAlone, ...]:
    """The paper's classes together, where they have heads, and all heads that act."""
    of_paper = [head for name in PUBLISHED_HEADS for head in classes[name]]
    every = [head for heads in classes.values() for head in heads]
    return tuple(_circuit_alone(study, heads, n_random) for heads in (of_paper, every) if heads)


def _circuit_alone(study: Study, heads: Sequence[Head], n_random: int) -> CircuitAlone:
    """How faithful a circuit of heads is, beside circuits of as many random heads."""
    found = faithfulness(
        study.model,
        study.dataset,
        Circuit.of(study.model, heads),
        ablation="mean_by_template",
        compare=(),
        keep_mlps=True,
        n_random=n_random,
        **study.options,
    )
    circuit = found.runs.index("circuit")
    return CircuitAlone(
        heads=_names(heads),
        faithfulness=found.faithfulness[0, circuit],
        gap=float(found.gap.value[0, circuit]),
        random=found.random_faithfulness[0],
    )


def _names(heads: Sequence[Head]) -> tuple[str, ...]:
    return tuple(map(head_name, heads))
