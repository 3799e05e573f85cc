"""The Jacobian lens beside TransformerLens's: matrices, readouts, files, edits and decompositions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from interp import JacobianLens
from interp.errors import InterpWarning
from interp.methods.lens.exchange import exchange_edits
from interp.methods.lens.token_directions import decompose_state, token_directions
from interp.text.sequences import load_text

pytestmark = pytest.mark.tl
NAMES = ["demo-gpt2", "demo-qwen3"]
FRANCE = "The capital of France is"


@pytest.fixture(scope="module")
def theirs() -> Any:
    """TransformerLens's class, where this version has it."""
    return pytest.importorskip("transformer_lens.tools.analysis.jacobian_lens").JacobianLens


@pytest.fixture(scope="module")
def both(load: Any, theirs: Any) -> Any:
    """`both(name)`: a model, its bridge, and a lens of the same prompts by either library."""
    made: dict[str, Any] = {}

    def both(name: str) -> Any:
        if name not in made:
            model = load(name, "transformer_lens")
            text = load_text(model, "demo", training=3, held_out=1, length=22)[0]
            bridge = model.bridge
            with pytest.MonkeyPatch.context() as patch:  # a prompt there is text; here, its ids in JSON
                patch.setattr(
                    bridge, "to_tokens", lambda prompt: torch.tensor([json.loads(prompt)]), raising=False
                )
                fitted = theirs.fit(bridge, list(map(json.dumps, text)), corpus="demo", show_progress=False,
                                    source_layers=[0, 2, 4], dim_batch=64)  # fmt: skip
            own, _ = interp.fit_jacobian_lens(load(name), text, layers=[0, 2, 4])
            made[name] = load(name), bridge, own, fitted
        return made[name]

    return both


@pytest.mark.parametrize("name", NAMES)
def test_matrices_agree(both: Any, name: str) -> None:
    _, _, own, fitted = both(name)
    for row, layer in enumerate(own.source_layers):
        torch.testing.assert_close(own.jacobian[row], fitted.jacobians[layer], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_files_go_to_and_fro_and_read_the_same(both: Any, theirs: Any, name: str, tmp_path: Path) -> None:
    model, bridge, own, fitted = both(name)
    own.save(tmp_path / "own.pt")
    fitted.save(str(tmp_path / "theirs.pt"))
    there = theirs.load(str(tmp_path / "own.pt"))
    with pytest.warns(InterpWarning, match="does not record"):
        here = JacobianLens.load(tmp_path / "theirs.pt", model)
    assert here.source_layers == tuple(there.source_layers) == (0, 2, 4)
    assert here.n_prompts == there.n_prompts == 3
    ids = model.to_tokens(FRANCE).row(0)
    read = there.readout(bridge, torch.tensor([ids]), return_full_logits=True)
    cache = model.run_with_cache(ids, ["resid_post"])
    for layer in here.source_layers:
        logits = here.logits(model, cache["resid_post", layer][0], layer)
        torch.testing.assert_close(logits, read.lens_logits[layer], rtol=1e-2, atol=2e-2)  # float16 files


@pytest.mark.parametrize("name", NAMES)
def test_edits_agree(both: Any, name: str) -> None:
    model, bridge, own, fitted = both(name)
    ids = model.to_tokens(FRANCE).row(0)
    pair = [model.to_single_token(" Paris"), model.to_single_token(" Tokyo")]
    torch.testing.assert_close(
        token_directions(model, own, pair, 2), fitted.lens_vectors(bridge, pair, 2), rtol=1e-3, atol=1e-3
    )
    _, clean = bridge.run_with_cache(torch.tensor([ids]))
    hooks = fitted.swap_clamp_hooks(bridge, *pair, [2, 4], clean)
    with bridge.hooks(fwd_hooks=hooks):
        there = bridge(torch.tensor([ids]), return_type="logits")
    here = model.forward(ids, exchange_edits(model, own, ids, *pair, layers=[2, 4]))
    torch.testing.assert_close(here, there.detach(), rtol=1e-3, atol=5e-3)
    assert not torch.allclose(here, model.forward(ids), atol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_decompositions_agree(both: Any, name: str) -> None:
    model, bridge, own, fitted = both(name)
    state = model.run_with_cache(FRANCE, [("resid_post", 2)])["resid_post", 2][0, -1]
    there = fitted.decompose(bridge, state, 2, k=6)
    here = decompose_state(model, own, state, 2, k=6)
    assert list(here.ids) == there.selected_support.tolist()
    above = here.coordinates > 0
    assert [i for i, on in zip(here.ids, above, strict=True) if on] == there.support.tolist()
    torch.testing.assert_close(here.coordinates[above], there.coordinates.cpu(), rtol=1e-2, atol=1e-3)
