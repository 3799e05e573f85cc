"""Real weights, when there are some: `make test-real MODEL=gpt2`, from the local cache or WEIGHTS=folder.

The backends agree on them, they pass the self-check, and the shipped configurations run on them and leave
their figures. The published figures are in `test_published.py`, which the same command runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from conftest import needs_backend
from interp import Edit
from interp.cli import main
from interp.models.base import Model
from interp.models.self_check import require, self_check
from interp.sites import SITES

pytestmark = [pytest.mark.real]

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
#: Those on a sparse autoencoder need one of this very model, or text to train one on.
EXPERIMENTS = sorted(folder.name for folder in CONFIGS.iterdir() if not folder.name.startswith("sae_"))
TEXTS = ["The capital of France is", "When John and Mary went to the store, John gave a drink to", "Water"]
TL = pytest.param("transformer_lens", marks=pytest.mark.tl)
NNSIGHT = pytest.param("nnsight", marks=pytest.mark.nnsight)


@pytest.fixture(scope="module")
def name(real: tuple[str, str] | None) -> str:
    if real is None:
        pytest.skip("no real weights were asked for; run: make test-real MODEL=gpt2")
    return real[0]


@pytest.fixture(scope="module")
def source(real: tuple[str, str] | None, name: str) -> str:
    assert real is not None
    return real[1]


@pytest.fixture(scope="module")
def reference(source: str) -> Model:
    return interp.load_model(source)


@pytest.mark.parametrize("backend", ["transformers", TL, NNSIGHT])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_passes_the_self_check(source: str, backend: Any, dtype: str) -> None:
    needs_backend(backend)
    model = interp.load_model(source, backend=backend, dtype=dtype, self_check=False)
    require(self_check(model), model)


@pytest.mark.parametrize("backend", [TL, NNSIGHT])
def test_the_backends_agree(source: str, reference: Model, backend: Any) -> None:
    """Every site, the logits, and the logits after an edit of each site: to 1e-4, or to float32's rounding
    where entries are large."""
    needs_backend(backend)
    model = interp.load_model(source, backend=backend)
    middle = reference.arch.n_layers // 2
    halved = [
        Edit.scale(site, middle if SITES[site].per_layer else None, value=0.5, positions=-1)
        for site in model.sites
    ]
    for text in TEXTS:
        for edits in ([], *([edit] for edit in halved)):
            ours, theirs = (m.run_with_cache(text, m.sites, edits) for m in (model, reference))
            for hook in ours:
                allowed = max(1e-4, 1e-6 * float(theirs[hook].abs().max()))
                torch.testing.assert_close(ours[hook], theirs[hook], rtol=0, atol=allowed)
            torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=1e-3)


def test_a_batch_gives_the_numbers_of_its_prompts_one_at_a_time(reference: Model) -> None:
    together = reference.forward(TEXTS)
    for row, text in enumerate(TEXTS):
        alone = reference.forward(text)[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=0, atol=1e-3)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_shipped_configuration_runs(
    name: str, source: str, experiment: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """The model's own configuration where one is shipped, and that of demo-gpt2 elsewhere."""
    file = CONFIGS / experiment / f"{name}.yaml"
    config = file if file.is_file() else CONFIGS / experiment / "demo-gpt2.yaml"
    main(
        [
            "run",
            experiment,
            "--config",
            str(config),
            "--model",
            source,
            "--tag",
            "real",
            "--out",
            str(tmp_path),
        ]
    )
    run = tmp_path / experiment / "real"
    assert (run / "report.html").is_file()
    figures = pytestconfig.getoption("--figures")
    if figures:
        Path(figures).mkdir(parents=True, exist_ok=True)
        shutil.copy(run / f"{experiment}.png", Path(figures) / f"{name}-{experiment}.png")


@pytest.mark.slow
def test_the_whole_of_it_on_a_folder_under_another_name(tmp_path: Path) -> None:
    """What `make test-real MODEL=mine WEIGHTS=folder` runs, on demo weights in a folder of one's own."""
    folder, figures = tmp_path / "weights", tmp_path / "figures"
    shutil.copytree(ROOT / "src/interp/zoo/demo-qwen3", folder)
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_real.py", "tests/test_published.py"]
    command += [
        "-k",  # one configuration: every experiment has tests of its own
        "not whole_of_it and (not shipped or logit_lens)",
        "--real",
        "mine",
        "--weights",
        str(folder),
        "--figures",
        str(figures),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " failed" not in done.stdout
    assert [file.name for file in figures.iterdir()] == ["mine-logit_lens.png"]
