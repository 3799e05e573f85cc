"""The comparison of lenses of docs/lenses.md: runs it, and puts each table between two comments of its own.

    python docs/court.py planted demo-gpt2 demo-qwen3 untrained

- ``planted``: the transformer of tests/compiled_two_steps.py, in which the step in between is known by
  construction; its lenses are fitted here.
- ``demo-gpt2``, ``demo-qwen3``: the lenses that come with the package, on text from another seed, with a
  shuffled one and the other model's as controls.
- ``untrained``: demo-qwen3's architecture with random weights, and a Jacobian lens that is fitted to it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

import interp
from interp import zoo
from interp.figures.views.compare_lenses import verdicts
from interp.methods.lens.comparison_results import CompareLensesResult
from interp.tasks.two_hops import TwoHop, known
from interp.text.sequences import load_text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "lenses.md"
SEED = 2  # of the text; lenses were fitted on that of 0 and measured on that of 1


def planted() -> CompareLensesResult:
    sys.path.insert(0, str(ROOT / "tests"))
    from compiled_two_steps import cases, sequences, two_step_model

    model = interp.load_model(two_step_model(), device="cpu", name="planted", self_check=False)
    jacobian, _ = interp.fit_jacobian_lens(model, sequences(20), directions="all", described="planted text")
    tuned, _ = interp.train_tuned_lens(model, sequences(100, seed=1), steps=200)
    return interp.compare_lenses(
        model,
        sequences(8, seed=2),
        lenses={"logit": "logit", "tuned": tuned, "jacobian": jacobian},
        shuffled=["jacobian"],
        cases=cases(8),
        k=1,
        described="planted text",
    )


def demo(name: str) -> CompareLensesResult:
    model, other = interp.load_model(name, device="cpu"), next(one for one in zoo.NAMES if one != name)
    lenses: dict[str, Any] = {one: one for one in ("logit", "tuned", "jacobian", "patchscope")}
    lenses["the other model's"] = interp.TunedLens.load(zoo.path(other) / "tuned_lens", model, check=False)
    return interp.compare_lenses(
        model,
        _text(model),
        lenses=lenses,
        shuffled=["jacobian"],
        controls=["the other model's"],
        cases=capitals(model),
        k=1,
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
    jacobian, _ = interp.fit_jacobian_lens(model, text, directions="all", described="demo")
    return interp.compare_lenses(
        model,
        _text(model, n=12, length=48),
        lenses={"logit": "logit", "jacobian": jacobian},
        shuffled=["jacobian"],
        described="the demo corpus",
    )


def _text(model: interp.Model, *, n: int = 8, length: int = 32) -> list[list[int]]:
    return load_text(model, "demo", training=1, held_out=n, length=length, seed=SEED)[1]


def markdown(result: CompareLensesResult) -> str:
    """KL and first token by layer and lens, what was found of the bridges, and the verdicts."""
    layers = range(len(result.layers) - 1)
    lines = [
        f"{result.n_sequences} sequences, {result.n_tokens} tokens. KL in nats (first tokens), by layer.",
        "",
        "| lens | " + " | ".join(result.layers[i] for i in layers) + " | rank | bias, bits |",
        "|---|" + "---|" * (len(layers) + 2),
    ]
    for one in result.lenses:
        kl, top1 = one.text.kl.value, one.text.top1.value
        cells = [f"{kl[i]:.2f} ({top1[i]:.2f})" for i in layers]
        rank, bias = torch.tensor(one.text.log_rank.value[:-1]).mean().exp(), one.text.bias[:-1].mean()
        name = f"{one.label}{' (control)' if one.control else ''}"
        lines.append(f"| {name} | {' | '.join(cells)} | {rank:.1f} | {bias:.2f} |")
    if result.prompts:
        lines += [
            "",
            f"{len(result.prompts)} prompts: share with the bridge in the first {result.k} (another bridge); "
            "share that says the foretold answer after the exchange (random changes).",
            "",
            "| lens | " + " | ".join(result.layers[i] for i in layers) + " |",
            "|---|" + "---|" * len(layers),
        ]
        for one in result.lenses:
            assert one.bridges is not None
            cells = []
            for i in layers:
                read = f"{one.bridges.in_top.value[i]:.2f} ({one.bridges.other_in_top.value[i]:.2f})"
                if one.exchange is not None:
                    flips, random = one.exchange.flips.value[i], one.exchange.random_flips.value[i]
                    read += f"; {flips:.2f} ({random:.2f})"
                cells.append(read)
            lines.append(f"| {one.label} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"> {sentence}" for sentence in verdicts(result)), ""])


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
        made = {"planted": planted, "untrained": untrained}.get(name) or (lambda name=name: demo(name))
        put(name, markdown(made()))
        print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
