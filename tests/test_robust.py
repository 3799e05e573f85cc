"""What must hold whatever is done to a model, a run or a thread."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import interp
from conftest import PROVENANCE, n_hooks, tiny_model
from interp import Edit
from interp.cli import main
from interp.edits import OPS
from interp.errors import EditError, InputError, InterpError, ModelLoadError
from interp.models.base import Model
from interp.results import Result, read_result
from interp.runs import read_run
from interp.sites import SITES, Address
from interp.tokens import differing_positions

IDS = [5, 17, 80, 3, 99]

# ---- edits ----


@pytest.fixture(scope="module")
def model(tiny_gpt2: Path) -> Model:
    return interp.load_model(tiny_gpt2, device="cpu")


@st.composite
def edits(draw: Any) -> Edit:
    """Any edit: most can be carried out on a tiny GPT-2, some have values that do not fit."""
    site = SITES[draw(st.sampled_from(sorted(SITES)))]
    op = draw(st.sampled_from([op for op in OPS if (op, site.name) != ("mean", "pattern")]))
    positions = draw(st.none() | st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True))
    heads = draw(st.none() | st.integers(-4, 3)) if site.per_head else None
    address = Address(site.name, draw(st.integers(0, 2)) if site.per_layer else None, positions, heads)
    width = {"d_model": 32, "d_head": 8, "d_mlp": 128, "key": 5}[site.axes[-1]]
    value = None
    if op not in ("zero", "mean"):
        value = torch.full(
            (draw(st.sampled_from([width, width, width, 1, width + 1])),), draw(st.floats(-3, 3))
        )
    return Edit(op, address, value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(edits(), max_size=6))
def test_any_edits_in_any_order_leave_the_model_as_it_was(model: Model, these: list[Edit]) -> None:
    before, weights = model.forward(IDS), [p.clone() for p in model.hf_model.parameters()]
    hooks, attention = n_hooks(model.hf_model), model.hf_model.config._attn_implementation
    with suppress(EditError):  # one that raises in the middle must have been cleaned up after all the same
        model.run_with_cache(IDS, model.sites, these)
    assert n_hooks(model.hf_model) == hooks
    assert model.hf_model.config._attn_implementation == attention
    assert all(torch.equal(a, b) for a, b in zip(weights, model.hf_model.parameters(), strict=True))
    assert torch.equal(model.forward(IDS), before)


# ---- pairs and results ----


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_alignment_is_symmetric(a: list[int], b: list[int]) -> None:
    def align(x: list[int], y: list[int]) -> list[int] | str:
        try:
            return differing_positions(x, y)
        except InputError:
            return "refused"

    assert align(a, b) == align(b, a)
    if align(a, b) != "refused":
        assert [i for i in range(len(a)) if a[i] != b[i]] == align(a, b)


@dataclass(frozen=True, eq=False, kw_only=True)
class AnyResult(Result):
    kind: ClassVar[str] = "any"
    text: str
    number: float
    maybe: int | None
    nested: tuple[tuple[str, ...], ...]
    values: np.ndarray


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    text=st.text(),
    number=finite,
    maybe=st.none() | st.integers(),
    nested=st.lists(st.lists(st.text(), max_size=3).map(tuple), max_size=3).map(tuple),
    values=arrays(np.float64, array_shapes(max_dims=3, max_side=4), elements=finite),
)
def test_results_round_trip_exactly(**fields: Any) -> None:
    before = AnyResult(provenance=PROVENANCE, **fields)
    text = json.dumps(before.to_dict(), ensure_ascii=False, allow_nan=False)
    after = read_result(json.loads(text))
    assert isinstance(after, AnyResult)
    assert (after.text, after.number, after.maybe, after.nested) == tuple(
        fields[name] for name in ("text", "number", "maybe", "nested")
    )
    assert after.values.shape == before.values.shape
    assert after.values.tobytes() == before.values.tobytes()
    assert after.provenance == before.provenance


# ---- a process that is killed ----


def test_a_run_killed_at_any_moment_never_looks_finished(tmp_path: Path, capsys: Any) -> None:
    """Killed a dozen times, from its beginning to its end; what is there is whole, or nothing is."""
    command = ["run", "logit_lens", "--tag", "x", "--out", str(tmp_path), "--force"]
    main(command)
    begin = time.monotonic()
    main(command)  # the second one, with everything imported, is what will be killed
    usual = time.monotonic() - begin
    folder, rng, killed = tmp_path / "logit_lens" / "x", random.Random(0), 0
    whole = sorted(file.name for file in folder.iterdir())
    for _ in range(12):
        for file in folder.iterdir() if folder.exists() else ():
            file.unlink()
        if folder.exists():
            folder.rmdir()
        child = os.fork()
        if child == 0:  # the run is this process's work, which the parent kills
            try:
                main(command)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, 1.2 * usual))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        if folder.exists():
            assert sorted(file.name for file in folder.iterdir()) == whole
            read_run(folder)
    assert killed > 2, "most of them were too quick to be killed, so this shows nothing"
    main(command)
    assert sorted(file.name for file in folder.iterdir()) == whole
    assert [file.name for file in folder.parent.iterdir()] == ["x"], "what was left behind is swept up"


# ---- threads ----


def in_threads(*jobs: Any, times: int = 15) -> list[Any]:
    """What each job returned, all of them at once and each many times; the first that differs is an error."""
    expected = [job() for job in jobs]
    start, wrong = threading.Barrier(len(jobs)), []

    def work(index: int) -> None:
        try:
            start.wait()
            for _ in range(times):
                if not torch.equal(jobs[index](), expected[index]):
                    wrong.append(index)
        except BaseException as error:  # it would otherwise pass unseen
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    return expected


def test_two_models_over_the_same_modules_do_not_disturb_each_other() -> None:
    hf = tiny_model("tiny-qwen3")
    one, two = (interp.load_model(hf, device="cpu") for _ in range(2))
    edits = [Edit.zero("mlp_out", 1), Edit.scale("q", 0, value=2.0)]
    a, b = in_threads(lambda: one.forward(IDS, edits), lambda: two.forward(IDS))
    assert not torch.equal(a, b)


def test_models_that_load_at_once_are_whole() -> None:
    def loaded(name: str) -> torch.Tensor:
        return interp.load_model(name, device="cpu").forward(IDS)

    in_threads(lambda: loaded("demo-gpt2"), lambda: loaded("demo-qwen3"), times=1)


def test_a_pass_of_ones_own_meanwhile_is_left_alone() -> None:
    """The modules are the user's: what they run in another thread sees no edit."""
    hf = tiny_model("tiny-gpt2")
    model = interp.load_model(hf, device="cpu")

    def plain() -> torch.Tensor:
        with torch.no_grad():
            return hf(torch.tensor([IDS])).logits

    alone = plain()

    def own() -> torch.Tensor:  # our attention function may serve it meanwhile: the same, but for rounding
        return (plain() - alone).abs().max() < 1e-4

    in_threads(lambda: model.forward(IDS, [Edit.zero("attn_out", 1)]), own)


# ---- an architecture of one's own ----


def own_architecture() -> Any:
    """A Llama whose author gave the layers and the second norm other names."""
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaModel

    class Block(LlamaDecoderLayer):
        post_attention_layernorm = property(lambda self: self.norm_2)

    class Body(LlamaModel):
        layers = property(lambda self: self.blocks)

    hf = tiny_model("tiny-llama")
    for block in hf.model.layers:
        block.norm_2 = block._modules.pop("post_attention_layernorm")
        block.__class__ = Block
    hf.model.blocks = hf.model._modules.pop("layers")
    hf.model.__class__ = Body
    hf.config.model_type = "mine"
    return hf


def test_an_architecture_of_ones_own_takes_one_line() -> None:
    """The line is the one in CONTRIBUTING.md and in docs/models.md."""
    line = 'interp.Layout(layers="model.blocks", mlp_norm="norm_2")'
    root = Path(__file__).parents[1]
    for page in ("CONTRIBUTING.md", "docs/models.md"):
        assert line in (root / page).read_text(encoding="utf-8")
    hf = own_architecture()
    with pytest.raises(ModelLoadError, match=r"'mine' is not in the layout table .* Pass layout="):
        interp.load_model(hf, device="cpu")
    model = interp.load_model(hf, device="cpu", layout=eval(line))
    assert model.identity.self_check == "passed"
    reference = interp.load_model(tiny_model("tiny-llama"), device="cpu")
    edits = [Edit.add("resid_mid", 1, value=1.0)]
    assert torch.equal(model.forward(IDS, edits), reference.forward(IDS, edits))


def test_a_refusal_says_what_was_found_and_what_is_missing() -> None:
    hf = tiny_model("tiny-neox")
    hf.config.model_type = "gpt_neox2"
    with pytest.raises(ModelLoadError) as caught:
        interp.load_model(hf, device="cpu")
    for part in ("did you mean 'gpt_neox'", "none of the usual parts", "lacks model.layers"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ({"mlp_norm": "input_layernorm"}, "resid_mid"),
        ({"attn": "mlp", "mlp": "self_attn"}, "resid_mid"),
        ({"final_norm": "model.layers.0.input_layernorm"}, "unembed"),
        ({"attn_proj": "mlp.down_proj"}, "shapes"),
        ({"mlp_proj": "mlp.gate_proj"}, "shapes"),
        ({"mlp": "self_attn"}, "resid_post"),
        ({"attn": "input_layernorm"}, "resid_post"),
        ({"parallel": True}, None),  # true of less, and not untrue of anything: resid_mid is just not named
    ],
)
def test_a_layout_that_leads_to_the_wrong_part_fails_the_self_check(layout: Any, says: str | None) -> None:
    hf = tiny_model("tiny-llama")
    if says is None:
        assert "resid_mid" not in interp.load_model(hf, device="cpu", layout=interp.Layout(**layout)).sites
        return
    with pytest.raises(InterpError, match=says):
        interp.load_model(hf, device="cpu", layout=interp.Layout(**layout))


def test_the_self_check_can_be_turned_off_and_results_say_so() -> None:
    hf = tiny_model("tiny-llama")
    layout = interp.Layout(mlp_norm="input_layernorm")
    model = interp.load_model(hf, device="cpu", layout=layout, self_check=False)
    assert model.identity.self_check == "skipped"
    assert interp.logit_lens(model, IDS, 4).provenance.self_check == "skipped"


@pytest.mark.parametrize("name", ["demo-gpt2", "demo-qwen3"])
def test_the_command_prints_the_self_check(name: str, capsys: Any) -> None:
    main(["models", "--check", name])
    printed = capsys.readouterr().out
    assert "resid_pre + attn_out + mlp_out = resid_post" in printed
    assert "float64" in printed
    assert "FAILED" not in printed
    off = float(re.search(r"In bfloat16, logits are off by up to (\S+)", printed).group(1))
    assert 1e-3 < off < 1  # bfloat16 has 8 bits; the logits are of the order of 10
