"""Checkpoints of a training, and any method over them: kept as folders, found on the hub, one at a time."""

from __future__ import annotations

import gc
import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import interp
from conftest import run, tiny_model
from interp import Asked
from interp.errors import ConfigError, InputError
from interp.figures.engine.view import Lines, Panels, Table, Words
from interp.figures.views.over_checkpoints import halfway, view
from interp.methods.comparison import over_checkpoints as module
from interp.methods.comparison.over_checkpoints import find_checkpoints
from interp.methods.comparison.reading import number_at
from interp.methods.comparison.results import OverCheckpointsResult
from interp.runs import read_run
from interp.zoo.making.checkpoints import Checkpoints
from interp.zoo.making.recipes import RECIPES
from interp.zoo.making.tokenizer import build_tokenizer
from interp.zoo.making.training import train

INDUCTION = {"induction": "attention.2.max"}
SMALL = {"n": 2, "length": 8, "n_ablated": 0}


def logit(model: interp.Model) -> dict[str, float]:
    """A number of a model that is easy to foresee."""
    return {"scale": float(model.hf_model.transformer.ln_f.weight[0].detach())}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_folder) -> Path:
    """Three checkpoints, of which a weight is the step."""
    out = tmp_path_factory.mktemp("checkpoints")
    for step in (100, 0, 20):
        hf = tiny_model("tiny-gpt2")
        hf.transformer.ln_f.weight.data[0] = step
        shutil.copytree(tiny_folder("tiny-gpt2"), out / f"step{step}")
        hf.save_pretrained(out / f"step{step}")
    (out / "notes").mkdir()
    return out


# ---- the checkpoints of a training ----


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, torch.nn.Module, int]:
    """A few steps of the training of a demo model, with four checkpoints of it."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = replace(
        RECIPES["demo-gpt2"], steps=9, batch=2, length=24, first_length=16, first_at_most=3, bfloat16=False
    )
    checkpoints = Checkpoints(folder, number=5, recipe=recipe)
    trainer = train(recipe, build_tokenizer(seed=0), console=Console(quiet=True), checkpoints=checkpoints)
    trainer.file.unlink(missing_ok=True)
    return folder, trainer.model, trainer.first_steps + trainer.steps


def test_a_training_keeps_checkpoints_that_load_as_models(trained, load) -> None:
    folder, final, steps = trained
    assert steps == 16  # three of copying, nine of text, and four of copying between these
    # before; after the copying; after one and four steps of text, with copying between; at the end
    names = ["step0", "step3", "step4", "step9", f"step{steps}"]
    assert {one.name for one in folder.iterdir()} == set(names)
    models = {one.label: interp.load_model(one.source, device="cpu") for one in find_checkpoints(folder)}
    assert set(models) == set(names)
    ids = [0, 5, 7, 9]
    said = {label: model.forward(ids)[0, -1] for label, model in models.items()}
    torch.testing.assert_close(
        said[f"step{steps}"], final(torch.tensor([ids])).logits[0, -1], atol=0.05, rtol=0.05
    )
    assert len({tuple(logits.tolist()) for logits in said.values()}) == 5
    assert models["step0"].arch == load("demo-gpt2").arch
    assert final.dtype == torch.float32  # it was trained on as it was


def test_a_plan_that_does_not_fit_is_refused(tmp_path) -> None:
    recipe = RECIPES["demo-gpt2"]
    planned = Checkpoints(tmp_path, number=20, recipe=recipe)
    assert sorted(planned.in_first) == [0, 15, 61, 138, 244, 382]
    assert sorted(planned.in_text)[:4] == [0, 19, 76, 170]
    assert len(planned.in_text) == 13
    for number, steps in ((3, 100), (20, 30)):
        with pytest.raises(ValueError, match="do not fit"):
            Checkpoints(tmp_path, number=number, recipe=replace(recipe, steps=steps))


# ---- what is asked of each ----


def test_checkpoints_are_asked_in_the_order_of_their_steps_one_at_a_time(folders, load, monkeypatch) -> None:
    alive: list[weakref.ref] = []

    def loaded(*arguments, **options):
        gc.collect()
        assert not [one for one in alive if one() is not None], "the one before was not let go"
        found = interp.load_model(*arguments, **options)
        alive.append(weakref.ref(found.hf_model))
        return found

    monkeypatch.setattr(module, "load_model", loaded)
    result = interp.over_checkpoints(logit, folders)
    assert result.checkpoints == ("step0", "step20", "step100")
    assert result.steps.tolist() == result.of("scale").tolist() == [0, 20, 100]
    assert result.made_by == ("logit",)
    assert result.final == ""
    assert len(alive) == 3
    beside = interp.over_checkpoints(logit, [folders / "step100", folders / "step0"], model=load("tiny-gpt2"))
    assert beside.of("scale").tolist() == [0, 100]
    assert beside.final_values.tolist() == [logit(load("tiny-gpt2"))["scale"]]
    assert beside.provenance.model == load("tiny-gpt2").identity.name


def test_an_experiment_gives_what_it_gives_on_each_alone(folders) -> None:
    result = interp.over_checkpoints("head_scores", folders, read=INDUCTION, settings=SMALL)
    for step, value, low in zip((0, 20, 100), result.of("induction"), result.low[:, 0], strict=True):
        alone = interp.head_scores(interp.load_model(folders / f"step{step}"), **SMALL).estimate("induction")
        at = np.unravel_index(alone.mean.argmax(), alone.mean.shape)
        assert (value, low) == (alone.mean[at], alone.low[at])
    assert result.made_by == ("head_scores: attention.2.max",)


def test_checkpoints_that_were_done_are_not_loaded_again(folders, tmp_path, monkeypatch) -> None:
    asked = {"read": INDUCTION, "settings": SMALL}
    with interp.resuming(tmp_path):
        first = interp.over_checkpoints("head_scores", [folders / "step0", folders / "step20"], **asked)
    loads, load = [], interp.load_model
    monkeypatch.setattr(module, "load_model", lambda *a, **o: loads.append(a[0]) or load(*a, **o))
    with interp.resuming(tmp_path):
        whole = interp.over_checkpoints("head_scores", folders, **asked)
    assert loads == [str(folders / "step100")]
    np.testing.assert_array_equal(whole.values[:2], first.values)
    with interp.resuming(tmp_path):
        interp.over_checkpoints("head_scores", folders, read=INDUCTION, settings=SMALL | {"length": 9})
    assert len(loads) == 4


def test_revisions_in_the_cache_of_the_hub(folders, tmp_path, monkeypatch) -> None:
    """As the hub leaves them: a snapshot for each commit, and a name for each revision."""
    repo = tmp_path / "models--someone--small"
    (repo / "refs").mkdir(parents=True)
    for step in (0, 20, 100):
        commit = f"{step:040d}"
        shutil.copytree(folders / f"step{step}", repo / "snapshots" / commit)
        (repo / "refs" / f"step{step}").write_text(commit)
    (repo / "refs" / "main").write_text(f"{100:040d}")
    for name in ("huggingface_hub.constants.HF_HUB_CACHE", "huggingface_hub.file_download.HF_HUB_CACHE"):
        monkeypatch.setattr(name, str(tmp_path), raising=False)
    given = [f"someone/small@step{step}" for step in (0, 20, 100)]
    result = interp.over_checkpoints(logit, given)
    assert result.of("scale").tolist() == [0, 20, 100]
    assert result.checkpoints == ("step0", "step20", "step100")
    assert result.provenance.revision == "step100"
    main = interp.load_model("someone/small")
    of_main = interp.over_checkpoints(logit, ["@step20", "@step0"], model=main)
    assert of_main.of("scale").tolist() == [0, 20]
    assert of_main.final_values.tolist() == [100]


# ---- numbers by their paths ----


def test_paths_lead_to_numbers_with_their_intervals(load) -> None:
    result = interp.head_scores(load("demo-gpt2"), n=3, length=8, n_ablated=0)
    scores = result.attention
    assert number_at(result, "attention.2,1,3") == tuple(
        float(getattr(scores, of)[2, 1, 3]) for of in ("mean", "low", "high")
    )
    assert number_at(result, "attention.mean.2.max")[0] == scores.mean[2].max()
    assert number_at(result, "attention.2.average")[0] == pytest.approx(scores.mean[2].mean())
    assert np.isnan(number_at(result, "copy_length")[1])
    for path, says in (
        ("atention.2", "did you mean 'attention'"),
        ("attention.2", r"no single number of shape \[6, 6\]"),
        ("attention.9,9,9", "no '9,9,9'"),
        ("provenance.model", "no 'model'"),
        ("scores", "no single number; go on"),
        ("_repr_html_", "no '_repr_html_'"),
    ):
        with pytest.raises(InputError, match=says):
            number_at(result, path)


# ---- what is refused ----


def test_what_cannot_be_asked_is_refused_in_a_sentence(folders, load, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "load_model", lambda *_, **__: pytest.fail("a checkpoint was loaded"))
    given = [folders / "step0", folders / "step20"]
    for checkpoints, says in (
        ([], "no checkpoint"),
        (folders / "notes", "No folder in"),
        ([folders / "step1"], "neither a folder"),
        (["@step0"], "not of which model"),
        ([folders / "step0", folders / "step0"], "named twice"),
    ):
        with pytest.raises(InputError, match=says):
            interp.over_checkpoints(logit, checkpoints)
    with pytest.raises(InputError, match="2 checkpoints and 1 steps"):
        interp.over_checkpoints(logit, given, steps=[1])
    with pytest.raises(InputError, match="same step"):
        interp.over_checkpoints(logit, given, steps=[1, 1])
    with pytest.raises(InputError, match="each by a name"):
        interp.over_checkpoints("head_scores", given)
    with pytest.raises(InputError, match="own read and settings"):
        interp.over_checkpoints([Asked(run=logit)], given, read=INDUCTION)
    with pytest.raises(ConfigError, match="Unknown experiment"):
        interp.over_checkpoints("head_scors", given, read=INDUCTION)
    with pytest.raises(ConfigError, match="Unknown key"):
        interp.over_checkpoints("head_scores", given, read=INDUCTION, settings={"lenght": 3})


def test_checkpoints_of_different_models_are_refused(folders, tiny_qwen3, load) -> None:
    with pytest.raises(InputError, match="family is gpt2 in the one and qwen3"):
        interp.over_checkpoints(logit, [folders / "step0", tiny_qwen3], steps=[0, 1])
    with pytest.raises(InputError, match="take two models of one architecture"):
        interp.over_checkpoints(logit, [folders / "step0"], model=load("demo-gpt2"))
    with pytest.raises(InputError, match="Two numbers are called 'scale'"):
        interp.over_checkpoints([Asked(run=logit), Asked(run=logit)], [folders / "step0"])


# ---- what is shown ----


def test_the_axis_is_logarithmic_where_steps_go_far(folders) -> None:
    asked = [
        Asked(run="head_scores", read={"heads: induction": "attention.2.max"}, settings=SMALL),
        Asked(run="head_scores", read={"heads: duplicate": "attention.1.max"}, settings=SMALL),
        Asked(run=logit),
    ]
    result = interp.over_checkpoints(asked, folders, steps=[0, 1000, 10])
    assert result.in_steps
    panels = view(result).block("measures", Panels).panels
    assert [(one.y_title, len(one.series)) for one in panels] == [("heads", 2), ("scale", 1)]
    assert panels[0].x_title == "training step (logarithm of step + 1)"
    assert dict(panels[0].ticks)[0.0] == "0"
    few = interp.over_checkpoints(logit, folders, steps=[10, 30, 20])
    lines = view(few).block("measures", Lines)
    assert (lines.x_title, lines.series[0].x) == ("training step", (10.0, 20.0, 30.0))
    assert view(few).block("verdict", Words).text == "Half of the way: by step 30 scale."
    assert view(few).block("ways", Table).rows == (("scale", "0", "step 30", "100", "step 30", "100"),)
    noisy = replace(few, low=few.values - 80, high=few.values + 80)
    assert view(noisy).block("verdict", Words).text == "Never told from its first value: scale."
    assert halfway(np.array([1.0, 0.9, 5, 4, 2])) == 2
    assert halfway(np.array([1.0, -3, 9, 2])) == 2


def test_on_the_command_line(folders, tiny_gpt2, tmp_path, capsys) -> None:
    measures = '[{"run": "head_scores", "read": {"induction": "attention.2.max"}, "settings": {"n": 2}}]'
    given = [f"model={tiny_gpt2}", f"checkpoints={folders}", f"measures={measures}"]
    arguments = [part for one in given for part in ("--set", one)]
    assert run("run", "over_checkpoints", *arguments, "--tag", "x", "--out", tmp_path) == 0, (
        capsys.readouterr().err
    )
    result = read_run(tmp_path / "over_checkpoints" / "x").result
    assert isinstance(result, OverCheckpointsResult)
    assert result.checkpoints == ("step0", "step20", "step100")
    assert result.final == str(tiny_gpt2)
    assert (tmp_path / "over_checkpoints" / "x" / "over_checkpoints.png").stat().st_size > 5_000
