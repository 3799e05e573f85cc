"""The comparison of lenses of docs/lenses.md: runs it, and puts each table between two comments of its own.

    python docs/court.py planted demo-gpt2 demo-qwen3 untrained gemma-3-270m

- ``planted``: the transformer of tests/compiled_two_steps.py, in which the step in between is known by
  construction; its lenses are fitted here.
- ``demo-gpt2``, ``demo-qwen3``: the lenses that come with the package, on text from another seed, with a
  shuffled one and the other model's two as controls.
- ``untrained``: demo-qwen3's architecture with random weights, and a Jacobian lens that is fitted to it.
- ``gemma-3-270m``: configs/compare_lenses/gemma-3-270m.yaml, with the lens that
  configs/train_jacobian_lens/gemma-3-270m.yaml fits (only where it is named).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

import interp
from interp import zoo
from interp.configs import read_config
from interp.experiments.base import find_experiment
from interp.figures.views.compare_lenses import verdicts
from interp.methods.lens.comparison_results import CompareLensesResult, JudgedLens
from interp.models.gguf.packages import GEMMA
from interp.results import Interval
from interp.tasks.two_hops import TwoHop, known
from interp.text.sequences import load_text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "lenses.md"
SEED = 2  # of the text; lenses were fitted on that of 0 and measured on that of 1
MANY = 10  # layers


def planted() -> CompareLensesResult:
    sys.path.insert(0, str(ROOT / "tests"))
    from compiled_two_steps import cases, sequences, two_step_model

    model = interp.load_model(two_step_model(), device="cpu", name="planted", self_check=False)
    jacobian, _ = interp.fit_jacobian_lens(model, sequences(20), described="planted text")
    tuned, _ = interp.train_tuned_lens(model, sequences(100, seed=1), steps=200)
    return interp.compare_lenses(
        model,
        sequences(8, seed=2),
        lenses={"logit": "logit", "tuned": tuned, "jacobian": jacobian},
        shuffled=["jacobian"],
        cases=cases(8),
        k=1,
        widths=[1, 2, 3],
        described="planted text",
    )


def demo(name: str) -> CompareLensesResult:
    model, other = interp.load_model(name, device="cpu"), next(one for one in zoo.NAMES if one != name)
    lenses: dict[str, Any] = {one: one for one in ("logit", "tuned", "jacobian", "patchscope")}
    lenses["the other's tuned"] = interp.TunedLens.load(zoo.path(other) / "tuned_lens", model, check=False)
    return interp.compare_lenses(
        model,
        _text(model),
        lenses=lenses,
        shuffled=["jacobian"],
        other_models=[other],
        controls=["the other's tuned"],
        cases=capitals(model),
        k=1,
        widths=[1, 2, 3, 4],
        n_random=2,
        described="the demo corpus, from a seed that no lens was fitted on",
    )


def capitals(model: interp.Model) -> list[TwoHop]:
    """Facts of one step, whose answer stands in the place of the bridge: it is read, and exchanged with that
    of another fact."""
    prompts = [
        one
        for one in zoo.fact_prompts()
        if one.fact.relation == "country_capital" and one.text == f"The capital of {one.fact.subject} is"
    ]
    cases = [
        TwoHop(
            relation="capital", prompt=one.text, bridge=one.answer, answer=one.answer, hops=(one.text,) * 2
        )
        for one in prompts
    ]
    return list(known(model, cases[:12])[0])


def untrained() -> CompareLensesResult:
    trained = interp.load_model("demo-qwen3", device="cpu")
    torch.manual_seed(0)
    blank = AutoModelForCausalLM.from_config(trained.hf_model.config).eval()
    model = interp.load_model(blank, trained.tokenizer, device="cpu", name="untrained", self_check=False)
    text, _ = load_text(model, "demo", training=16, held_out=1, length=40)
    jacobian, _ = interp.fit_jacobian_lens(model, text, described="demo")
    return interp.compare_lenses(
        model,
        _text(model, n=12, length=48),
        lenses={"logit": "logit", "jacobian": jacobian},
        shuffled=["jacobian"],
        described="the demo corpus",
    )


def _text(model: interp.Model, *, n: int = 8, length: int = 32) -> list[list[int]]:
    return load_text(model, "demo", training=1, held_out=n, length=length, seed=SEED)[1]


def gemma() -> CompareLensesResult:
    experiment = find_experiment("compare_lenses")
    values = read_config(ROOT / "configs" / "compare_lenses" / f"{GEMMA.name}.yaml")
    values.pop("experiment")
    config = experiment.make_config(values)
    return experiment.run(config, interp.load_model(GEMMA.name))


def markdown(result: CompareLensesResult) -> str:
    """What was found by layer and lens, over bands, and the verdicts."""
    names = list(result.layers[:-1])
    parts = [
        f"{result.n_sequences} sequences, {result.n_tokens} tokens. KL in nats (first tokens), by layer."
    ]
    if len(names) > MANY:
        parts += _of_many_layers(result, names)
    else:
        parts.append(_on_text(result, names))
        parts += _of_prompts(result, names) if result.prompts else []
    parts += _of_bands(result)
    return "\n\n".join([*parts, "\n".join(f"> {sentence}" for sentence in verdicts(result))]) + "\n"


def _on_text(result: CompareLensesResult, names: list[str]) -> str:
    rows = {}
    for one in result.lenses:
        rank, bias = torch.tensor(one.text.log_rank.value[:-1]).mean().exp(), one.text.bias[:-1].mean()
        cells = [_near(one, i) for i in range(len(names))]
        rows[f"{one.label}{' (control)' if one.control else ''}"] = [*cells, f"{rank:.1f}", f"{bias:.2f}"]
    return _table("lens", [*names, "rank", "bias, bits"], rows)


def _near(one: JudgedLens, i: int) -> str:
    return f"{one.text.kl.value[i]:.2f} ({one.text.top1.value[i]:.2f})"


def _of_many_layers(result: CompareLensesResult, names: list[str]) -> list[str]:
    """One table with a row for each layer."""
    columns, cells = [], []
    for one in result.lenses:
        assert one.bridges is not None
        assert one.exchange is not None
        columns += [f"{one.label}: KL", "rank of the bridge", "of another", "flipped (random)"]
        flips, random = one.exchange.flips.value, one.exchange.random_flips.value
        ranks = (one.bridges.log_rank, one.bridges.other_log_rank)
        cells += [
            [_near(one, i) for i in range(len(names))],
            *([_rank(log_rank, i) for i in range(len(names))] for log_rank in ranks),
            [f"{flips[i]:.2f} ({random[i]:.2f})" for i in range(len(names))],
        ]
    rows = {name: [column[i] for column in cells] for i, name in enumerate(names)}
    return [
        f"{len(result.prompts)} prompts: typical rank of the bridge and of another bridge, with intervals; "
        "share that says the foretold answer after the exchange.",
        _table("after layer", columns, rows),
    ]


def _of_prompts(result: CompareLensesResult, names: list[str]) -> list[str]:
    read, ranks = {}, {}
    for one in result.lenses:
        bridges, exchange = one.bridges, one.exchange
        assert bridges is not None
        read[one.label] = [
            f"{bridges.in_top.value[i]:.2f} ({bridges.other_in_top.value[i]:.2f})"
            + (
                ""
                if exchange is None
                else f"; {exchange.flips.value[i]:.2f} ({exchange.random_flips.value[i]:.2f})"
            )
            for i in range(len(names))
        ]
        ranks[one.label] = [
            " ".join(_rank(log_rank, i) for log_rank in (bridges.log_rank, bridges.other_log_rank))
            for i in range(len(names))
        ]
    return [
        f"{len(result.prompts)} prompts: share with the bridge in the first {result.k} (another bridge); "
        "share that says the foretold answer after the exchange (random changes).",
        _table("lens", names, read),
        "Typical rank of the bridge, with its interval, and of another bridge.",
        _table("lens", names, ranks),
    ]


def _rank(log_rank: Interval, i: int) -> str:
    value, low, high = (
        f"{float(torch.tensor(end[i]).exp()):,.0f}" for end in (log_rank.value, log_rank.low, log_rank.high)
    )
    return f"{value} ({low}–{high})"


def _of_bands(result: CompareLensesResult) -> list[str]:
    judged = {one.label: one.bands for one in result.lenses if one.bands is not None}
    if not judged:
        return []
    first = next(iter(judged.values()))
    rows = {}
    for label, bands in judged.items():
        flips = zip(bands.held_flips.value, bands.live_flips.value, bands.random_flips.value, strict=True)
        shifts = zip(bands.held_shift.value, bands.live_shift.value, strict=True)
        rows[label] = [
            f"{held:.2f}, {live:.2f}, {random:.2f}; {moved:+.1f}, {undone:+.1f}"
            for (held, live, random), (moved, undone) in zip(flips, shifts, strict=True)
        ]
    return [
        f"Exchanged over bands of so many layers, which begin after layers {', '.join(first.starts)}: share "
        "that says the foretold answer, with the clean run's coordinates held, with live ones, with random "
        "changes held; shift in logits, held and live.",
        _table("lens", [str(width) for width in first.widths], rows),
    ]


def _table(corner: str, columns: list[str], rows: dict[str, list[str]]) -> str:
    lines = ["| " + " | ".join([corner, *columns]) + " |", "|---|" + "---|" * len(columns)]
    return "\n".join(lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()])


def put(name: str, text: str) -> None:
    """Replace what stands between ``<!-- begin: name -->`` and ``<!-- end: name -->``."""
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->\n"
    before, found, rest = DOCS.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"docs/lenses.md has no place for {name!r}; put the two comments in.")
    DOCS.write_text(before + begin + text + end + after, encoding="utf-8")


def main(names: list[str]) -> None:
    for name in names or ["planted", *zoo.NAMES, "untrained"]:
        own = {"planted": planted, "untrained": untrained, GEMMA.name: gemma}
        made = own.get(name) or (lambda name=name: demo(name))
        put(name, markdown(made()))
        print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
