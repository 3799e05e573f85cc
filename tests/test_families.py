"""Every family in the layout table, every site, read and edited, on every backend that supports it.

The models are tiny and random. What is true of them is known without another implementation: an
activation that is carried over from another run must bring along exactly what is computed from it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

import interp
from conftest import needs_backend
from families import FAMILIES, family_model
from interp import Edit
from interp.errors import ModelLoadError
from interp.models.base import Model
from interp.models.layouts import LAYOUTS
from interp.sites import SITES, Address

TL = pytest.param("transformer_lens", marks=pytest.mark.tl)
NNSIGHT = pytest.param("nnsight", marks=pytest.mark.nnsight)

PROMPT, OTHER = [5, 17, 80, 3, 99, 42, 7], [200, 1, 64, 90, 12, 33, 150]  # longer than any window
INSIDE = {"q", "k", "v", "pattern"}
#: Families whose attention does not go through transformers' attention interface.
OWN_ATTENTION = {"gpt_neo", "gptj", "bloom", "falcon"}
EXPERTS = {"mixtral", "qwen3_moe", "gpt_oss"}

#: TransformerLens wraps these in a way that leaves the residual stream unreachable, or not at all.
REFUSED_BY_TRANSFORMER_LENS = {"falcon-alibi", "falcon-grouped"}

# What is set to its value in the other run, and what must then be as it is there, in the same layer.
BRINGS: dict[tuple[str, ...], str] = {
    ("resid_pre",): "resid_post",
    ("q", "k"): "pattern",
    ("pattern", "v"): "z",
    ("z",): "attn_out",
    ("mlp_act",): "mlp_out",
    ("resid_mid",): "resid_post",
}


#: (family, backend) -> the sites that it was seen to reach; filled by the tests.
REACHED: dict[tuple[str, str], set[str]] = {}


@lru_cache(maxsize=2)
def model(name: str, backend: Any = "transformers", dtype: str = "float64") -> Model:
    """The tiny model, loaded and self-checked."""
    needs_backend(backend)
    hf = family_model(name).to(getattr(torch, dtype))
    return interp.load_model(hf, backend=backend, dtype=dtype, device="cpu")


def plain_model(name: str) -> PreTrainedModel:
    """The same model, loaded by nobody, in float64."""
    hf = family_model(name).double()
    if type(hf)._can_set_experts_implementation():
        hf.set_experts_implementation("eager")
    return hf


def close(a: Tensor, b: Tensor, atol: float = 1e-5) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def at(site: str, layer: int) -> tuple[str, int] | str:
    return (site, layer) if SITES[site].per_layer else site


def test_every_family_of_the_table_has_a_model() -> None:
    assert {model_type for model_type, _ in FAMILIES.values()} == set(LAYOUTS)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_has_every_site_that_the_architecture_has(name: str) -> None:
    absent = set()
    if FAMILIES[name][0] in OWN_ATTENTION:
        absent |= INSIDE
    if FAMILIES[name][0] in EXPERTS:
        absent.add("mlp_act")
    if name in ("gpt_neox", "phi", "stablelm-parallel", "gptj", "falcon", "falcon-grouped"):
        absent.add("resid_mid")
    REACHED[name, "transformers"] = set(model(name).sites)
    assert REACHED[name, "transformers"] == set(SITES) - absent


@pytest.mark.parametrize("name", FAMILIES)
def test_reading_changes_nothing_and_each_activation_is_what_the_others_are_made_of(name: str) -> None:
    m = model(name)
    hf = plain_model(name)
    plain = hf(torch.tensor([PROMPT]), use_cache=False).logits.detach()
    ours, theirs = (m.run_with_cache(ids, m.sites) for ids in (PROMPT, OTHER))
    close(ours.logits, plain)
    close(m.forward(PROMPT, [Edit.set("embed", value=theirs["embed"])]), theirs.logits)
    for layer in range(m.arch.n_layers):
        for sources, target in BRINGS.items():
            if not {*sources, target} <= set(m.sites):
                continue
            edits = [Edit.set(site, layer, value=theirs[site, layer]) for site in sources]
            changed = m.run_with_cache(PROMPT, [(target, layer)], edits)
            close(changed[target, layer], theirs[target, layer])
            assert (changed[target, layer] - ours[target, layer]).abs().max() > 1e-3
        for site in {"resid_mid", "resid_post"} & set(m.sites):  # from there on it is the other run
            close(m.forward(PROMPT, [Edit.set(site, layer, value=theirs[site, layer])]), theirs.logits)
        target = "resid_post" if m.arch.parallel_attention else "resid_mid"
        edit = Edit.set("attn_out", layer, value=theirs["attn_out", layer])
        moved = m.run_with_cache(PROMPT, [(target, layer)], [edit])[target, layer] - ours[target, layer]
        close(moved, theirs["attn_out", layer] - ours["attn_out", layer])
        edit = Edit.set("mlp_out", layer, value=theirs["mlp_out", layer])
        moved = (
            m.run_with_cache(PROMPT, [("resid_post", layer)], [edit])["resid_post", layer]
            - ours["resid_post", layer]
        )
        close(moved, theirs["mlp_out", layer] - ours["mlp_out", layer])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_gives_the_numbers_of_its_prompts_one_at_a_time(name: str) -> None:
    m = model(name)
    prompts = [PROMPT, OTHER[:3], OTHER]
    edit = Edit.scale("attn_out", 1, value=0.5, positions=-1)
    together = m.run_with_cache(prompts, m.sites, [edit])
    for row, prompt in enumerate(prompts):
        alone = m.run_with_cache(prompt, m.sites, [edit])
        n = len(prompt)
        close(together.logits[row, :n], alone.logits[0])
        for hook in alone:
            value = together[hook][row]
            value = value[:, :n, :n] if Address.parse(str(hook)).site == "pattern" else value[:n]
            close(value, alone[hook][0])


@pytest.mark.parametrize("name", FAMILIES)
def test_left_padding_by_the_library_itself_gives_the_same_logits(name: str) -> None:
    """What transformers computes for a batch padded on the left, with its mask and its positions."""
    m, hf = model(name, dtype="float32"), family_model(name)  # in float64 some of its own masks give NaN
    ids = torch.tensor([PROMPT, [0] * 4 + OTHER[:3]])
    mask = torch.tensor([[1] * 7, [0] * 4 + [1] * 3])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    accepts_positions = FAMILIES[name][0] != "bloom"  # ALiBi needs none
    extra = {"position_ids": positions} if accepts_positions else {}
    with torch.no_grad():
        plain = hf(ids, attention_mask=mask, use_cache=False, **extra).logits
    for given in ({"input_ids": ids, "attention_mask": mask}, interp.Tokens.unpad(ids, mask)):
        ours = m.forward(given)
        close(ours[0], plain[0], 1e-4)
        close(ours[1, :3], plain[1, 4:], 1e-4)


@pytest.mark.parametrize("backend", [TL, NNSIGHT])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_other_backends_agree_at_every_site_that_they_reach(name: str, backend: str) -> None:
    reference = model(name)
    if name in REFUSED_BY_TRANSFORMER_LENS and backend == "transformer_lens":
        with pytest.raises(ModelLoadError, match="load it with backend='transformers'"):
            model(name, backend)
        REACHED[name, backend] = set()
        return
    m = model(name, backend)
    REACHED[name, backend] = set(m.sites)
    assert set(m.sites) <= set(reference.sites)
    edits: list[list[Edit]] = [[]]
    for site in m.sites:
        where: dict[str, Any] = {"layer": 1} if SITES[site].per_layer else {}
        edits.append([Edit.scale(site, **where, value=0.3, positions=(1, -1))])
    for these in edits:
        ours, theirs = (x.run_with_cache([PROMPT, OTHER[:4]], m.sites, these) for x in (m, reference))
        for hook in ours:
            a, b = ours[hook], theirs[hook]
            if Address.parse(str(hook)).site == "pattern":
                a, b = a.tril(), b.tril()
            close(
                a[:, ..., :4, :] if a.ndim == 4 else a[:, :4],
                b[:, ..., :4, :] if a.ndim == 4 else b[:, :4],
            )
        close(ours.logits[0], theirs.logits[0])
        close(ours.logits[1, :4], theirs.logits[1, :4])
    resid = torch.randn(2, m.arch.d_model, dtype=torch.float64)
    close(m.unembed(resid), reference.unembed(resid))


# ---- the table in docs/models.md ----

DOCS = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- begin: what works where -->\n", "<!-- end: what works where -->\n"


def cell(name: str, backend: str) -> str:
    """The sites that a backend reaches, of those that the architecture has."""
    has = set(SITES) - model(name)._absent.keys()
    reached = REACHED[name, backend]
    if not reached:
        return "refused"
    missing = [site for site in SITES if site in has - reached]
    return f"all but {', '.join(missing)}" if missing else "all"


def test_the_table_in_the_docs_is_what_was_measured(pytestconfig: pytest.Config) -> None:
    """Of this very run: every cell is a model that passed the tests above."""
    backends = ("transformers", "transformer_lens", "nnsight")
    if any((name, backend) not in REACHED for name in FAMILIES for backend in backends):
        pytest.skip("the table is made of all tests of this file, on all backends")
    lines = [
        "| family | sites it does not have | transformers | transformer_lens | nnsight |",
        "|---|---|---|---|---|",
    ]
    for name in FAMILIES:
        absent = ", ".join(site for site in SITES if site in model(name)._absent) or "-"
        lines.append(f"| {name} | {absent} | {' | '.join(cell(name, backend) for backend in backends)} |")
    table = "\n".join(lines) + "\n"
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    if pytestconfig.getoption("--write-docs"):
        DOCS.write_text(before + BEGIN + table + END + after, encoding="utf-8")
    else:
        assert old == table, "run: python -m pytest tests/test_families.py --write-docs"
