"""Attention, head scores and copying scores: against planted heads, and against what follows by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from compiled import Planted, copy_previous_model, indirect_object_model, induction_model
from conftest import run
from interp.edits import Edit
from interp.errors import InputError, SiteError
from interp.figures.engine.view import Words
from interp.figures.views.head_scores import view
from interp.methods.common.heads import find_heads
from interp.methods.common.outliers import find_outliers
from interp.methods.heads.attention_by_role import attention_by_role
from interp.methods.heads.attention_patterns import attention_patterns
from interp.methods.heads.copying_scores import copying_scores
from interp.methods.heads.head_scores import head_scores
from interp.methods.heads.results import HeadScoresResult
from interp.results import read_result
from interp.tasks.base import Pair, PairDataset
from interp.tasks.indirect_objects import indirect_objects
from interp.tasks.repeated_tokens import repeated_sequences
from planting import FAMILIES, Family

DEMOS = ("demo-gpt2", "demo-qwen3")
IOI = "When John and Mary went to the store, John gave a drink to"
_planted: dict[Any, tuple[Planted, interp.Model]] = {}


def planted(make: Any, family: Family) -> tuple[Planted, interp.Model]:
    """A model compiled by hand, loaded once a session."""
    if (make, family) not in _planted:
        found = make(family)
        _planted[make, family] = found, interp.load_model(found.hf_model, device="cpu")
    return _planted[make, family]


def as_dataset(planted: Planted, n: int) -> PairDataset:
    """Pairs of a compiled model as a dataset; the order of the names is the template."""
    pairs = [
        Pair(
            clean=one.clean,
            corrupted=one.corrupted,
            answer=one.answer,
            foil=one.foil,
            positions={role: (position,) for role, position in one.positions.items()},
            template="ABBA" if one.positions.get("IO") == 2 else "BABA",
        )
        for one in planted.pairs(n)
    ]
    return PairDataset(name="planted", pairs=tuple(pairs))


def at_least(scores: np.ndarray, least: float) -> set[tuple[int, int]]:
    return {(int(layer), int(head)) for layer, head in np.argwhere(scores >= least)}


# ---- planted heads ----


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_single_out_the_planted_heads(family: Family) -> None:
    truth, model = planted(induction_model, family)
    result = head_scores(model, n=4, length=10)
    assert at_least(result.score("previous_token"), 0.1) == {truth.heads["previous_token"]}
    assert at_least(result.score("induction"), 0.5) == {truth.heads["induction"]}
    assert at_least(result.score("prefix_matching"), 0.5) == {truth.heads["induction"]}
    # The distractor looks at its own token and at the earlier one alike.
    same = truth.distractors["same_token"]
    assert at_least(result.score("duplicate_token"), 0.2) == {same}
    assert result.score("duplicate_token")[same] == pytest.approx(0.5, abs=0.01)
    # The induction head looks nowhere else, but for one query in ten: there is no BOS, so that what the
    # previous-token head sees at the very first position is the token itself, which then matches as well.
    others = [result.by_shift[i][truth.heads["induction"]] for i, s in enumerate(result.shifts) if s != 1]
    assert sorted(others)[-2] < 0.001
    assert max(others) == pytest.approx(0.05, abs=0.001)
    # Not less, as the token that stands for BOS in these models is drawn too, and never said.
    assert result.second_copy_loss < 0.2 < 2 < result.first_copy_loss


@pytest.mark.parametrize("family", FAMILIES)
def test_the_copy_previous_head_is_no_induction_head(family: Family) -> None:
    truth, model = planted(copy_previous_model, family)
    result = head_scores(model, n=2, length=8)
    assert result.heads("previous_token") == [truth.heads["previous_token"]]
    assert result.heads("induction", at_least=0.15) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_by_role_finds_where_planted_heads_look(family: Family) -> None:
    truth, model = planted(indirect_object_model, family)
    dataset = as_dataset(truth, 6)
    places = truth.heads | truth.distractors
    between = [(query, key) for _, query, key in truth.attention]
    result = attention_by_role(model, dataset, between=sorted(set(between)))
    for head, query, key in truth.attention:
        assert result.of(query, key).mean[places[head]] > 0.98
        assert (result.attention.low <= result.attention.mean + 1e-12).all()
    looks = {places[head] for head, query, key in truth.attention if (query, key) == ("END", "IO")}
    assert at_least(result.of("END", "IO").mean, 0.5) == looks
    assert at_least(result.of("S2", "S1").mean, 0.5) == {truth.heads["duplicate_token"]}


@pytest.mark.parametrize("family", FAMILIES)
def test_copying_scores_are_those_of_the_planted_movers_alone(family: Family) -> None:
    truth, model = planted(indirect_object_model, family)
    result = copying_scores(model, as_dataset(truth, 6), k=1)
    copying, negative = np.zeros((2, *result.copying.shape))
    copying[truth.heads["name_mover"]] = negative[truth.heads["negative_mover"]] = 1
    np.testing.assert_array_equal(result.copying.mean, copying)
    np.testing.assert_array_equal(result.negative.mean, negative)


# ---- what follows by hand ----


@pytest.mark.parametrize("name", DEMOS)
def test_patterns_are_those_of_the_model(load: Any, name: str) -> None:
    model = load(name)
    result = attention_patterns(model, IOI, heads=["4.2", [1, 5], "a0.h3"])
    cache = model.run_with_cache(IOI, ["pattern"])
    assert result.heads == ((4, 2), (1, 5), (0, 3))
    np.testing.assert_array_equal(result.pattern((1, 5)), cache["pattern", 1][0, 5].numpy())
    np.testing.assert_allclose(result.patterns.sum(-1), 1, atol=1e-5)
    assert attention_patterns(model, IOI).patterns.shape[0] == 36
    with pytest.raises(InputError, match=r"does not hold head 0\.0"):
        result.pattern((0, 0))


def test_attention_by_role_sums_keys_and_averages_queries(load: Any) -> None:
    model = load("tiny-qwen3")
    pair = Pair(
        clean=(5, 6, 7, 8, 9),
        corrupted=(5, 6, 7, 8, 10),
        answer=1,
        foil=2,
        positions={"late": (3, 4), "early": (0, 2)},
    )
    other = Pair(
        clean=(9, 8, 7), corrupted=(9, 8, 6), answer=1, foil=2, positions={"late": (2,), "early": (1,)}
    )
    result = attention_by_role(
        model, PairDataset(name="own", pairs=(pair, other)), between=[["late", "early"]]
    )
    one = model.run_with_cache([pair.clean], ["pattern"]).stack("pattern")[:, 0].double()
    two = model.run_with_cache([other.clean], ["pattern"]).stack("pattern")[:, 0].double()
    first = (one[..., 3, 0] + one[..., 3, 2] + one[..., 4, 0] + one[..., 4, 2]) / 2
    np.testing.assert_allclose(result.attention.each[0, 0], first, atol=1e-6)
    np.testing.assert_allclose(result.attention.each[1, 0], two[..., 2, 1], atol=1e-6)
    np.testing.assert_allclose(result.attention.mean[0], (first + two[..., 2, 1]) / 2, atol=1e-6)


def test_scores_by_hand_on_a_random_model(load: Any) -> None:
    model = load("tiny-gpt2")
    result = head_scores(model, n=3, length=5, batch_size=2, seed=4)
    drawn = repeated_sequences(model, n=3, length=5, seed=4)
    assert drawn.start == 1
    cache = model.run_with_cache(drawn.ids, ["pattern"])
    pattern = cache["pattern", 1][:, 2].double()  # [sequence, query, key]
    queries = range(6, 11)
    for name, key in (("previous_token", 1), ("duplicate_token", 5), ("induction", 4)):
        by_hand = torch.stack([pattern[:, q, q - key] for q in queries]).mean()
        assert result.score(name)[1, 2] == pytest.approx(float(by_hand), abs=1e-6)
    even = [1 / (q + 1) for q in queries]
    np.testing.assert_allclose(result.chance[:3], np.mean(even), rtol=1e-6)
    assert [s for s in result.shifts if s < 1] == [-2, -1, 0]
    by_name = {s: result.by_shift[i] for i, s in enumerate(result.shifts)}
    np.testing.assert_allclose(by_name[0], result.score("duplicate_token"), atol=1e-12)
    np.testing.assert_allclose(by_name[1], result.score("induction"), atol=1e-12)

    four = [(*ids, *ids[1:]) for ids in drawn.ids]
    pattern = model.run_with_cache(four, ["pattern"])["pattern", 1][:, 2].double()
    total = torch.zeros(3, dtype=torch.float64)
    for query in range(6, 21):
        for key in range(1, query):  # the token after each earlier occurrence
            if four[0][key - 1] == four[0][query] and key > 1:
                total += pattern[:, query, key]
    assert result.score("prefix_matching")[1, 2] == pytest.approx(float(total.mean()) / 15, abs=1e-6)

    ids = list(drawn.ids[0])
    readout = interp.Readout.log_prob(ids[1:], range(len(ids) - 1))
    losses = [-readout(model.forward([list(ids)]))[0] for ids in drawn.ids for readout in [_next(ids)]]
    np.testing.assert_allclose(result.loss.mean, torch.stack(losses).mean(0), atol=1e-5)
    assert readout.positions[-1] == 9
    assert result.first_copy_loss == pytest.approx(result.loss.mean[:5].mean())
    assert result.second_copy_loss == pytest.approx(result.loss.mean[6:].mean())


def _next(ids: Any) -> interp.Readout:
    return interp.Readout.log_prob(list(ids[1:]), range(len(ids) - 1))


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_copying_scores_by_hand(load: Any, name: str) -> None:
    """One head of a late layer, read with the stream after the first layer put in front of it."""
    model = load(name)
    k = model.arch.d_vocab // 3
    pairs = tuple(
        Pair(clean=(a, b, c), corrupted=(a, b, c + 1), answer=1, foil=2, positions={"IO": (1,), "S1": (2,)})
        for a, b, c in ((5, 6, 7), (9, 4, 3), (20, 30, 40))
    )
    result = copying_scores(model, PairDataset(name="own", pairs=pairs), roles=["IO", "S1"], k=k)
    layer, head = 1, 2
    counted = {1: 0, -1: 0}
    for pair in pairs:
        stream = model.run_with_cache([pair.clean], [("resid_post", 0)])["resid_post", 0]
        edit = interp.Edit.set("resid_pre", layer, value=stream)
        v = model.run_with_cache([pair.clean], [("v", layer)], [edit])["v", layer][0]
        kv = head * model.arch.n_kv_heads // model.arch.n_heads
        for position in (1, 2):
            written = v[position, kv] @ model.W_O(layer)[head]
            for sign in (1, -1):
                top = model.unembed(sign * written).topk(k).indices.tolist()
                counted[sign] += pair.clean[position] in top
    assert result.copying.mean[layer, head] == pytest.approx(counted[1] / 6)
    assert result.negative.mean[layer, head] == pytest.approx(counted[-1] / 6)
    assert 0 < counted[1] < 6  # else this would show little


def test_seeds_and_round_trip(load: Any) -> None:
    model = load("tiny-qwen3")
    one, same, other = (head_scores(model, n=2, length=6, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.attention.each, same.attention.each)
    assert not np.array_equal(one.attention.each, other.attention.each)
    again = read_result(one.to_dict())
    assert isinstance(again, HeadScoresResult)
    np.testing.assert_array_equal(again.by_shift, one.by_shift)
    assert again.shifts == one.shifts


@pytest.mark.tl
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_transformer_lens_gives_the_same(load: Any, name: str) -> None:
    ours, theirs = load(name), load(name, "transformer_lens")
    for a, b in zip(*(head_scores(m, n=2, length=6).attention.each for m in (ours, theirs)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


# ---- what is refused ----


@pytest.mark.nnsight
def test_nnsight_says_what_it_does_not_reach(load: Any) -> None:
    model = load("demo-gpt2", "nnsight")
    dataset = indirect_objects(model, n=2)
    for call in (
        lambda: attention_patterns(model, IOI),
        lambda: attention_by_role(model, dataset),
        lambda: head_scores(model, n=1, length=4),
        lambda: copying_scores(model, dataset),
    ):
        with pytest.raises(SiteError, match=r"nnsight backend does not reach .* backend='transformers'"):
            call()


def test_heads_are_named_and_checked(load: Any) -> None:
    arch = load("demo-qwen3").arch
    assert find_heads(arch, "5.1") == ((5, 1),)
    assert len(find_heads(arch, None)) == 36
    for wrong in (["6.0"], ["0.6"], ["5"], [[1]], [[1, 2, 3]], [], ["1.2", "a1.h2"], [1.2], ["-1.0"]):
        with pytest.raises(InputError):
            find_heads(arch, wrong)  # type: ignore[arg-type]


def test_scores_refuse(load: Any) -> None:
    model = load("demo-gpt2")
    with pytest.raises(InputError, match="4 copies of length=40 are 161 tokens"):
        head_scores(model, length=40)
    with pytest.raises(InputError, match="at least 3"):
        head_scores(model, length=2)
    with pytest.raises(InputError, match="did you mean 'induction'"):
        head_scores(model, n=1, length=4).score("inductoin")
    dataset = indirect_objects(model, n=2)
    for wrong in (
        {"between": []},
        {"between": ["END", "IO"]},
        {"between": [["END", "I0"]]},
        {"side": "both"},
    ):
        with pytest.raises(InputError):
            attention_by_role(model, dataset, **wrong)
    with pytest.raises(InputError, match="IO stands before END"):
        attention_by_role(model, dataset, between=[["IO", "END"]])
    for wrong in ({"k": 0}, {"roles": []}, {"roles": ["OI"]}):
        with pytest.raises(InputError):
            copying_scores(model, dataset, **wrong)


# ---- the demo models, and the command line ----


def test_what_the_heads_of_the_demo_models_do(load: Any) -> None:
    """As the model cards say: demo-qwen3 has induction heads; demo-gpt2 looks one place further, where its
    previous-token head has put what is to be said."""
    qwen = head_scores(load("demo-qwen3"), n=4)
    assert set(qwen.heads("induction", at_least=0.8)) == {(2, 3), (2, 4), (2, 5)}
    assert set(qwen.heads("previous_token", at_least=0.75)) == {(0, 1), (0, 2), (1, 2)}
    gpt2 = head_scores(load("demo-gpt2"), n=4)
    assert gpt2.heads("previous_token") == [(0, 5)]
    assert gpt2.heads("induction", at_least=0.2) == []
    two_after = gpt2.by_shift[gpt2.shifts.index(2)]
    assert at_least(two_after, 0.55) == {(1, head) for head in range(6)}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("attention_patterns", ["heads=[[4,2],[1,1]]"]),
        ("attention_by_role", ["n=4"]),
        ("head_scores", ["n=2", "length=6"]),
        ("copying_scores", ["n=4"]),
    ],
)
def test_the_command_line(tmp_path: Path, capsys: Any, name: str, keys: list[str]) -> None:
    sets = [part for key in keys for part in ("--set", key)]
    assert run("run", name, *sets, "--out", tmp_path, "--tag", "one") == 0
    folder = tmp_path / name / "one"
    assert (folder / f"{name}.png").stat().st_size > 10_000
    assert "<svg" in (folder / "report.html").read_text() or "<table" in (folder / "report.html").read_text()
    assert "demo-gpt2" in capsys.readouterr().out


def test_what_a_head_costs_stands_beside_its_score(load):
    """By hand: its mean over the sequences in its place, and the loss of the second copy."""
    model = load("demo-gpt2")
    found = head_scores(model, n=2, length=8, n_ablated=2, seed=3)
    text = repeated_sequences(model, n=2, length=8, seed=3)
    layer, head = (int(i) for i in np.argwhere(found.score("induction") == found.score("induction").max())[0])
    left = find_outliers(model, text.ids).at
    places = [[i for i in range(len(text.ids[0])) if i not in own] for own in left]
    z = model.run_with_cache(text.ids, [("z", layer)])["z", layer]
    mean = torch.cat([own[there] for own, there in zip(z, places, strict=True)]).mean(0)[head]
    costs = []
    for ids, there in zip(text.ids, places, strict=True):
        edit = Edit.set("z", layer, value=mean, positions=there, heads=head)
        said = list(text.second_copy)[1:]
        runs = [model.forward(list(ids), edits)[0].double().log_softmax(-1) for edits in ([], [edit])]
        losses = [-np.mean([float(run[i - 1, ids[i]]) for i in said]) for run in runs]
        costs.append(losses[1] - losses[0])
    assert found.cost.mean[layer, head] == pytest.approx(np.mean(costs), abs=1e-4)
    assert -1 <= found.agreement("induction") <= 1
    shown = view(found)
    said = shown.block("agreement", Words).text
    assert "A score is not an effect" in said
    assert said.endswith(
        "Costs are means over 2 sequences: too few to tell one from chance; raise n_ablated."
    )
    assert head_scores(model, n=1, length=8, n_ablated=0).cost is None
