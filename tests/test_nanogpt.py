"""Models in nanoGPT's shape, converted to transformers' GPT-2: the same logits, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import interp
from edges_by_hand import exact_effects
from interp.edits import Edit
from interp.errors import ModelLoadError
from interp.readout import Readout
from interp.tasks.base import Pair, PairDataset
from nanogpt import GPT, nano_gpt

IDS = torch.tensor([[3, 9, 22, 0, 9, 14, 1]])


def logits_of(module: GPT) -> torch.Tensor:
    """Those of every position, without dropout."""
    with torch.no_grad():
        return module.eval()(IDS, targets=IDS)[0]


def compiled(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict as torch.compile names it."""
    return {f"_orig_mod.{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("form", ["module", "state dict", "compiled", "checkpoint", "file"])
def test_the_logits_are_the_same(form: str, bias: bool, tmp_path: Path) -> None:
    module = nano_gpt(bias=bias)
    state = module.state_dict()
    checkpoint = {
        "model": compiled(state),
        "model_args": {"n_head": 4, "bias": bias},
        "iter_num": 5,
        "config": {"dataset": "shakespeare_char"},
    }
    torch.save(checkpoint, tmp_path / "ckpt.pt")
    sources: dict[str, tuple[Any, int | None]] = {
        "module": (module, None),
        "state dict": (state, 4),
        "compiled": (compiled(state), 4),
        "checkpoint": (checkpoint, None),
        "file": (tmp_path / "ckpt.pt", None),
    }
    source, n_head = sources[form]
    converted = interp.from_nanogpt(source, n_head=n_head)
    assert module.training
    model = interp.load_model(converted, name="mine", device="cpu")
    assert (model.arch.n_layers, model.arch.n_heads, model.arch.d_mlp) == (2, 4, 128)
    assert (model.forward(IDS) - logits_of(module)).abs().max() < 1e-5
    assert model.identity.self_check == "passed"


def test_a_compiled_module_is_not_run_compiled() -> None:
    module = nano_gpt()
    module.transformer["drop"].eval()  # modes that differ stay so
    converted = interp.from_nanogpt(torch.compile(module, backend=_never))
    assert (module.training, module.transformer["drop"].training) == (True, False)
    model = interp.load_model(converted, device="cpu")
    assert (model.forward(IDS) - logits_of(module)).abs().max() < 1e-5


def _never(*_: Any) -> Any:
    raise AssertionError("compiled")


def test_an_untied_head_and_another_width_are_kept() -> None:
    module = nano_gpt()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module.lm_head.weight = nn.Parameter(0.2 * torch.randn(23, 32))
        for block in module.transformer["h"]:
            block.mlp.c_fc, block.mlp.c_proj = nn.Linear(32, 48), nn.Linear(48, 32)
    converted = interp.from_nanogpt(module)
    model = interp.load_model(converted, device="cpu")
    assert model.arch.d_mlp == 48
    assert (model.forward(IDS) - logits_of(module)).abs().max() < 1e-5


@pytest.mark.parametrize(("mlps", "norms"), [(False, True), (True, False), (False, False)])
def test_models_without_mlps_or_norms(mlps: bool, norms: bool) -> None:
    module = nano_gpt(mlps=mlps, norms=norms)
    converted = interp.from_nanogpt(module, norms=norms)
    from_state = interp.from_nanogpt(module.state_dict(), n_head=4, norms=norms)
    model = interp.load_model(converted, device="cpu")
    assert model.identity.self_check == "passed"
    assert (model.forward(IDS) - logits_of(module)).abs().max() < 1e-5
    assert torch.equal(interp.load_model(from_state, device="cpu").forward(IDS), model.forward(IDS))
    assert ("mlp_act" in model.sites) == mlps
    assert bool(model.run_with_cache(IDS, ["mlp_out"]).stack("mlp_out").any()) == mlps
    found = interp.direct_logit_attribution(model, IDS[0], 3, foil=5)
    last = logits_of(module)[0, -1]
    assert found.by_component.mean.sum() == pytest.approx(float(last[3] - last[5]), abs=1e-3)


@pytest.mark.parametrize("kind", [{"mlps": False}, {"norms": False}, {"mlps": False, "norms": False}])
def test_sweeps_and_edges_of_models_without_mlps_or_norms(kind: dict[str, bool]) -> None:
    """Branches of one run give what plain passes give, and every edge what it has by brute force."""
    converted = interp.from_nanogpt(nano_gpt(**kind), norms=kind.get("norms", True))
    model = interp.load_model(converted, device="cpu")
    clean, corrupted = IDS[0].tolist(), [20, 2, 5, 8, 11, 7, 19]
    branches = [[Edit.zero(site, layer, positions=2)] for site in ("z", "mlp_out") for layer in (0, 1)]
    readout = Readout.logit_diff(3, 5)
    fast = model.sweep(clean, branches, readout)
    assert fast.path == "branching"
    plain = model.sweep(clean, branches, readout, exact=True).values
    torch.testing.assert_close(fast.values, plain, atol=1e-5, rtol=1e-5)
    pair = Pair(clean=tuple(clean), corrupted=tuple(corrupted), answer=3, foil=5)
    scored = interp.edge_attribution(model, PairDataset(name="one", pairs=(pair,)))
    found = dict(zip(scored.names, scored.changes.tolist(), strict=True))
    wanted = exact_effects(model, pair.clean, pair.corrupted, readout)
    assert found == pytest.approx({f"{s}->{r}": effect for (s, r), effect in wanted.items()}, abs=2e-4)


def test_norms_that_are_missing_are_not_taken_for_none() -> None:
    module = nano_gpt(norms=False)
    with pytest.raises(ModelLoadError, match=r"ln_1.weight' is missing .* pass norms=False"):
        interp.from_nanogpt(module)
    with pytest.raises(ModelLoadError, match="no place"):
        interp.from_nanogpt(nano_gpt(), norms=False)


def test_the_modules_weights_are_not_shared() -> None:
    module = nano_gpt()
    converted = interp.from_nanogpt(module)
    before = module.transformer["wpe"].weight.clone()
    with torch.no_grad():
        converted.transformer.wpe.weight.zero_()
    assert torch.equal(module.transformer["wpe"].weight, before)


def test_another_activation_is_noticed_and_can_be_said() -> None:
    module = nano_gpt()
    for block in module.transformer["h"]:
        block.mlp.gelu = nn.ReLU()
    with pytest.raises(ModelLoadError, match=r"logits differ .* activation="):
        interp.from_nanogpt(module)
    model = interp.load_model(interp.from_nanogpt(module, activation="relu"), device="cpu")
    assert (model.forward(IDS) - logits_of(module)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda s: s.pop("transformer.h.1.attn.c_proj.weight"),
            "'transformer.h.1.attn.c_proj.weight' is",
        ),
        (lambda s: s.pop("transformer.wpe.weight"), "no 'transformer.wpe.weight'"),
        (lambda s: s.update({"transformer.h.0.attn.q_norm.weight": torch.ones(8)}), "q_norm.weight'"),
        (lambda s: s.update({"transformer.ln_f.weight": torch.ones(8)}), r"'transformer.ln_f.weight' is \[8"),
    ],
)
def test_a_state_dict_of_another_shape_is_refused(change: Any, says: str) -> None:
    state = dict(nano_gpt().state_dict())
    change(state)
    with pytest.raises(ModelLoadError, match=says):
        interp.from_nanogpt(state, n_head=4)


def test_what_a_state_dict_does_not_say(tmp_path: Path) -> None:
    state = nano_gpt().state_dict()
    with pytest.raises(ModelLoadError, match="pass n_head="):
        interp.from_nanogpt(state)
    with pytest.raises(ModelLoadError, match="n_head=5 does not divide the width 32"):
        interp.from_nanogpt(state, n_head=5)
    with pytest.raises(ModelLoadError, match="There is no file"):
        interp.from_nanogpt(tmp_path / "ckpt.pt")


class Danger:
    """What a pickled file would run."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/interp-was-run"),))


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    torch.save({"model": Danger()}, tmp_path / "ckpt.pt")
    with pytest.raises(ModelLoadError, match="cannot be read as a checkpoint of tensors"):
        interp.from_nanogpt(tmp_path / "ckpt.pt", n_head=4)
    assert not Path("/tmp/interp-was-run").exists()
