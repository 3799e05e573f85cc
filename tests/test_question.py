"""One question of a pair, running a method over pairs, and the patched cell, on the demo models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import interp
from interp.errors import DegeneratePairError, InputError
from interp.methods.common.over_pairs import over_pairs
from interp.methods.common.question import Question, pairs_of, prompt_readout
from interp.methods.patching.cells import Cells
from interp.models.base import Model
from interp.progress import listening

Load = Callable[..., Model]
PAIR = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}


def test_a_question_knows_both_runs_and_the_scale_between_them(load: Load) -> None:
    model = load("demo-gpt2")
    question = Question.of(model, **PAIR)
    logits = [model.forward(PAIR[name])[0, -1].double() for name in ("clean", "corrupted")]
    values = [float(one[question.answer] - one[question.foil]) for one in logits]
    assert [question.clean_value, question.corrupted_value] == pytest.approx(values, abs=1e-9)
    assert question.span == pytest.approx(values[0] - values[1])
    assert question.recovery(question.clean_value) == 1
    assert question.recovery(np.array([question.corrupted_value])).tolist() == [0]
    assert question.differing == (4,)
    assert (question.base, question.donor) == (question.corrupted, question.clean)
    assert question.base_value == question.corrupted_value
    other = Question.of(model, **PAIR, direction="noising")
    assert (other.base, other.donor) == (other.clean, other.corrupted)
    assert other.base_value == other.clean_value
    assert other.key != question.key
    pairs = pairs_of([question, other])
    assert (pairs.answers, pairs.foils, pairs.task) == ((" Paris",) * 2, (" Tokyo",) * 2, None)
    assert pairs.prompts[0].endswith(PAIR["clean"])


def test_a_pair_of_a_dataset_is_asked_as_it_is(load: Load) -> None:
    model = load("demo-gpt2")
    pair = interp.make_dataset("facts", model, n=1).pairs[0]
    question = Question.of(
        model, clean=pair.clean, corrupted=pair.corrupted, answer=pair.answer, foil=pair.foil
    )
    assert (tuple(question.clean.row(0)), question.answer) == (pair.clean, pair.answer)


def test_of_several_corrupted_runs_the_value_is_the_mean(load: Load) -> None:
    model = load("demo-gpt2")
    tokens = model.to_tokens(PAIR["clean"])
    noise = torch.randn(3, 1, model.arch.d_model, generator=torch.Generator().manual_seed(0))
    edit = interp.Edit.add("embed", value=noise, positions=(4,))
    runs = model.run_with_cache(tokens), model.run_with_cache(tokens.repeat(3), (), [edit])
    asked = Question.of(model, **PAIR)
    question = Question.of_runs(
        model, clean=runs[0], corrupted=runs[1], differing=[4], answer=asked.answer, foil=asked.foil,
        metric="logit_diff", direction="denoising",
    )  # fmt: skip
    each = asked.readout(runs[1].logits)
    assert len(each) == 3
    assert question.corrupted_value == pytest.approx(float(each.mean()))
    assert len(question.corrupted) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"corrupted": "The capital of the town is"}, "same number"),
        ({"corrupted": PAIR["clean"]}, "are the same"),
        ({"answer": "two words"}, "token"),
        ({"foil": " Paris"}, "same token"),
        ({"foil": None, "metric": "logit_diff"}, "needs a foil"),
        ({"clean": [PAIR["clean"]] * 2}, "single prompt"),
    ],
)
def test_refusals(load: Load, change: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Question.of(load("demo-gpt2"), **{**PAIR, **change})


def test_a_pair_that_hardly_differs_is_refused_by_name(load: Load) -> None:
    question = Question.of(load("demo-gpt2"), **{**PAIR, "answer": " tadpole", "foil": None})
    with pytest.raises(DegeneratePairError, match="of this pair hardly differ"):
        question.check_span(of=" of this pair")


def test_the_prompt_is_run_for_the_divergence_alone(load: Load) -> None:
    model = load("demo-gpt2")
    answer, foil = (model.to_single_token(PAIR[name]) for name in ("answer", "foil"))
    logits = model.forward(PAIR["clean"])
    for metric, expected in (("kl", 0.0), ("prob", float(logits[0, -1].double().softmax(-1)[answer]))):
        readout = prompt_readout(model, PAIR["clean"], answer=answer, foil=foil, metric=metric)  # type: ignore[arg-type]
        assert float(readout(logits)[0]) == pytest.approx(expected, abs=1e-9)


def test_over_pairs_keeps_each_by_its_whole_question(tmp_path) -> None:
    computed: list[int] = []
    heard: list[tuple[str, int, int]] = []

    def square(n: int) -> dict[str, np.ndarray]:
        computed.append(n)
        return {"values": np.array([n, n * n]), "path": np.array("plain" if n % 2 else "branching")}

    def run(power: int) -> np.ndarray:
        parts = over_pairs(iter([1, 2, 3]), square, total=3, key=lambda n: {"n": n, "power": power})
        assert parts.path == "branching and plain"
        return parts.stacked("values")

    with interp.resuming(tmp_path), listening(lambda *event: heard.append(event)):
        first = run(2)
        np.testing.assert_array_equal(run(2), first)
        assert computed == [1, 2, 3]
        run(3)
    assert computed == [1, 2, 3] * 2
    assert first.tolist() == [[1, 1], [2, 4], [3, 9]]
    assert heard[:4] == [("pairs", done, 3) for done in range(4)]


@pytest.mark.parametrize(
    ("site", "by", "n"),
    [
        ("resid_pre", "position", 6), ("z", "head", 6), ("k", "head", 2), ("pattern", "head", 6),
        ("pattern", "position", 6), ("attn_out", "neuron", 192), ("mlp_out", "layer", 1),
    ],
)  # fmt: skip
def test_the_cells_of_a_layer_are_all_of_it_and_do_not_overlap(load: Load, site, by, n) -> None:
    """What each cell carries over, put together, is the donor's activation."""
    model = load("demo-qwen3" if site == "k" else "demo-gpt2")
    question = Question.of(model, **PAIR)
    donor, base = (model.run_with_cache(tokens, [site]) for tokens in (question.donor, question.base))
    cells = Cells(site, by)
    edits = [edit for edit in cells.patches(donor, base) if edit.address.layer == 2]
    length = question.base.lengths[0]
    assert len(edits) == (length if by == "position" else model.arch.n_kv_heads if site == "k" else n)
    carried = torch.zeros_like(base[site, 2])
    for edit in edits:
        carried += model.run_with_cache(question.base, [site], [edit])[site, 2] - base[site, 2]
    torch.testing.assert_close(base[site, 2] + carried, donor[site, 2], rtol=0, atol=1e-4)
    change = donor[site, 2] - base[site, 2]
    torch.testing.assert_close(cells.summed(change).sum(), change.sum())
    assert len(cells.summed(change)) == len(edits)
