"""What a model must satisfy to be looked into: checked in a few short passes when it is loaded.

1. One plain forward pass of the Hugging Face model, and one of ours that reads every site.
2. The activations must have the usual shapes and be parts of one computation: they add up, heads write
   what the weights say, and the last of them unembeds to the logits.
3. One pass with a row for each site, set to its own value (nothing may change), and one with a row for
   each site, disturbed (something must change).

A layout with a wrong path, a family that computes its blocks in another way, a backend whose hook is
not where its name says: each fails one of these, and the model is refused instead of answering wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from interp.edits import Edit
from interp.errors import ModelLoadError, SiteError
from interp.models.base import Cache, Model
from interp.models.editing import Key, Taps
from interp.sites import SITES, Address, parse_sites
from interp.tokens import Tokens

#: Largest difference that rounding may explain, as a share of the largest entry compared.
# (Many architectures compute softmax and norms in float32, in float64 models too.)
ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


@dataclass(frozen=True)
class Check:
    """One property of a loaded model: how far it is off, as a share of the largest entry compared.

    ``where`` names the place at which it is furthest off, or what is wrong there.
    """

    name: str
    off: float
    allowed: float
    where: str = ""

    @property
    def passed(self) -> bool:
        """Whether the difference is no more than rounding. NaN does not pass."""
        return self.off <= self.allowed


def self_check(model: Model) -> tuple[Check, ...]:
    """Every check of `model`. Leaves it, and the Hugging Face model that it looks into, as they were."""
    hf_model, ids = model.hf_model, probe(model)
    hooks = _hooks(hf_model)
    with torch.no_grad():
        plain = model.plain_logits(ids.to(model.device))
    bad_weights = [
        name for name, p in hf_model.named_parameters() if not p.sum(dtype=torch.float32).isfinite()
    ]
    finite = "weights and activations are finite"
    if bad_weights or not plain.isfinite().all():
        where = f"in {bad_weights[0]}" if bad_weights else "in the logits of a plain forward pass"
        return (Check(finite, torch.inf, 0.0, where),)
    cache = model.run_with_cache(ids[0], model.sites)
    shapes = _shapes(model, cache)
    checks = [Check(finite, 0.0, 0.0), shapes]
    if shapes.passed:
        checks += [*_parts(model, cache), *_edits(model, cache)]
    allowed = ROUNDING[model.dtype]
    if model.identity.processing == "folded":  # centring the unembedding shifts all logits alike
        off = _off(cache.logits.log_softmax(-1), plain.log_softmax(-1))
    else:
        off = _off(cache.logits, plain)
    checks.insert(1, Check("logits are those of a plain forward pass", off, allowed))
    left = _hooks(hf_model) - hooks
    checks.append(Check("no hook stays behind", float(left), 0.0))
    return tuple(checks)


def require(checks: Iterable[Check], model: Model) -> None:
    """Raise `ModelLoadError` for the first check that failed."""
    for check in checks:
        if not check.passed:
            where = f" ({check.where})" if check.where else ""
            raise ModelLoadError(
                f"{model.identity.name} failed its self-check on the {model.backend} backend: "
                f"'{check.name}' is off by {check.off:.1g} of the largest entry{where}, so it would give "
                "wrong numbers; check its weights and layout, or load it all the same with self_check=False."
            )


def agreeing_sites(model: Model, reference: Model) -> frozenset[str]:
    """The sites of `model` that hold, in every layer, what `reference` holds there, and at which an edit
    has the same effect on the logits.

    For a backend that reaches sites by another library's names: a name that exists may never be passed,
    or may stand for something else.
    """
    ids, sites = probe(model), [site for site in model.sites if site in reference.sites]
    wanted = parse_sites(sites, model.arch.n_layers)
    ours, theirs = (Taps(wanted, (), (ids.shape[1],)) for _ in range(2))
    with torch.no_grad():
        model._run(ids.to(model.device), ours)
        reference._run(ids.to(model.device), theirs)
    allowed = ROUNDING[model.dtype]

    def same_values(site: str) -> bool:
        return all(
            key in ours.values and _off(ours.values[key], theirs.values[key]) <= allowed
            for key in _keys(model, site)
        )

    def same_effect(site: str) -> bool:
        layer = _middle(model, site)
        edit = _disturbance(site, layer, theirs.values[site, layer])
        tokens = Tokens(ids, (ids.shape[1],))
        try:
            return _off(model.forward(tokens, [edit]), reference.forward(tokens, [edit])) <= allowed
        except Exception:  # whatever another library raises on being edited there, it is no site for us
            return False

    return frozenset(site for site in sites if same_values(site) and same_effect(site))


def probe(model: Model) -> Tensor:
    """The ids [1, pos] that the checks run on: a few from all over the vocabulary."""
    n = min(6, model.arch.n_ctx or 6)
    return torch.linspace(1, model.arch.d_vocab_in - 1, n).long()[None]


# ---- the checks ----


def _shapes(model: Model, cache: Cache) -> Check:
    arch, n = model.arch, cache.tokens.ids.shape[1]
    sizes = {
        "batch": 1,
        "pos": n,
        "query": n,
        "key": n,
        "head": arch.n_heads,
        "kv_head": arch.n_kv_heads,
        "d_model": arch.d_model,
        "d_head": arch.d_head,
        "d_mlp": arch.d_mlp,
    }
    for hook in cache:
        site = Address.parse(str(hook)).site
        expected = [sizes[axis] for axis in SITES[site].axes]
        if list(cache[hook].shape) != expected:
            where = f"{hook} is {list(cache[hook].shape)}, not {expected}"
            return Check("activations have the usual shapes", torch.inf, 0.0, where)
    return Check("activations have the usual shapes", 0.0, 0.0)


def _parts(model: Model, cache: Cache) -> Iterator[Check]:
    """The activations are parts of one computation."""
    arch, have = model.arch, set(model.sites)
    last = arch.n_layers - 1

    def worst(name: str, pairs: Iterable[tuple[str, Tensor, Tensor]]) -> Check:
        offs = [(_off(a, b), where) for where, a, b in pairs]
        off, where = max(offs, key=lambda pair: pair[0])
        return Check(name, off, ROUNDING[model.dtype], where)

    def layers(pair: Any) -> list[tuple[str, Tensor, Tensor]]:
        return [(f"layer {n}", *pair(n)) for n in range(arch.n_layers)]

    if {"attn_out", "mlp_out"} <= have:
        yield worst(
            "resid_pre + attn_out + mlp_out = resid_post",
            layers(
                lambda n: (
                    cache["resid_pre", n] + cache["attn_out", n] + cache["mlp_out", n],
                    cache["resid_post", n],
                )
            ),
        )
    if {"attn_out", "resid_mid"} <= have:
        yield worst(
            "resid_pre + attn_out = resid_mid",
            layers(lambda n: (cache["resid_pre", n] + cache["attn_out", n], cache["resid_mid", n])),
        )
    if last > 0:
        yield worst(
            "a layer reads what the last one wrote",
            [(f"layer {n}", cache["resid_pre", n], cache["resid_post", n - 1]) for n in range(1, last + 1)],
        )
    if "pattern" in have:
        yield _rows_of_attention(model, cache)
        if {"v", "z"} <= have:
            groups = arch.n_heads // arch.n_kv_heads
            yield worst("pattern times v = z", layers(lambda n: (_mixed(cache, n, groups), cache["z", n])))
    if {"z", "attn_out"} <= have and _norms_are_known(model):
        yield worst(
            f"heads write z W_O, and a bias{', behind a norm' if arch.post_norms else ''}",
            layers(lambda n: _whole_and_by_heads(model, cache, n)),
        )
    yield worst(
        "unembed(last resid_post) = logits",
        [("", model.unembed(cache["resid_post", last]), cache.logits)],
    )


def _rows_of_attention(model: Model, cache: Cache) -> Check:
    """Each row sums to 1, over positions that are not in the future; with a sink, to at most 1."""
    pattern = cache.stack("pattern").double()  # [layer, batch, head, query, key]
    future = pattern.triu(1).abs().max().item()
    sums = pattern.sum(-1)
    off = (sums - 1).clamp(min=0) if model.arch.attention_sinks else (sums - 1).abs()
    name = f"attention rows sum to {'at most ' if model.arch.attention_sinks else ''}1, none looks ahead"
    return Check(name, max(off.max().item(), future), ROUNDING[model.dtype])


def _mixed(cache: Cache, layer: int, groups: int) -> Tensor:
    v = cache["v", layer].repeat_interleave(groups, dim=2)  # [batch, pos, head, d_head]
    return torch.einsum("bhqk,bkhd->bqhd", cache["pattern", layer], v)


def _norms_are_known(model: Model) -> bool:
    """Whether what is behind attention, if anything, tells heads apart."""
    try:
        model.post_norm("attn_out", 0)
    except SiteError:
        return False
    return True


def _whole_and_by_heads(model: Model, cache: Cache, layer: int) -> tuple[Tensor, Tensor]:
    """attn_out, and the same from the heads."""
    whole = cache["attn_out", layer]
    by_heads = torch.einsum("bphd,hdm->bpm", cache["z", layer], model.W_O(layer))
    norm = model.post_norm("attn_out", layer)
    if norm is not None:
        return whole, norm(by_heads + model.b_O(layer))
    return whole, by_heads + (whole - by_heads)[:, :1]  # what they differ by at the first position is a bias


def _edits(model: Model, cache: Cache) -> Iterator[Check]:
    """Setting a site to its own value changes nothing; disturbing it changes the logits."""
    allowed = ROUNDING[model.dtype]
    keys = [(site, _middle(model, site)) for site in model.sites]
    same = [Edit("set", Address(*key, rows=(row,)), cache[_spec(key)]) for row, key in enumerate(keys)]
    offs = _effects(model, cache, same)
    worst = max(range(len(keys)), key=lambda row: offs[row])
    yield Check("setting a site to itself changes nothing", offs[worst], allowed, keys[worst][0])

    def still(keys: list[Key]) -> list[Key]:
        edits = [_disturbance(*key, cache[_spec(key)], row=row) for row, key in enumerate(keys)]
        effects = _effects(model, cache, edits)
        return [key for key, effect in zip(keys, effects, strict=True) if effect < allowed / 100]

    # A layer may have been cut out of a model: a site is only amiss where it does nothing in any.
    everywhere = {site: _keys(model, site) for site, _ in still(keys)}
    nothing = set(still([key for keys in everywhere.values() for key in keys]))
    amiss = [site for site, keys in everywhere.items() if nothing.issuperset(keys)]
    yield Check("an edit at any site changes the logits", float(len(amiss)), 0.0, ", ".join(amiss))


def _effects(model: Model, cache: Cache, edits: list[Edit]) -> list[float]:
    """How far each edit, in a row of its own, moves the logits of the prompt in `cache`."""
    if not edits:
        return []
    logits = model.forward(cache.tokens.repeat(len(edits)), edits)  # [edit, pos, d_vocab]
    return [_off(row, cache.logits[0]) for row in logits]


def _disturbance(site: str, layer: int | None, value: Tensor, row: int = 0) -> Edit:
    """An edit of the last position that no later computation could overlook: another direction, as large."""
    if site == "pattern":  # of one head: a norm behind attention would take out a scale of all of them
        return Edit("scale", Address(site, layer, positions=(-1,), heads=(0,), rows=(row,)), -1.0)
    size = value.double().square().mean().sqrt().item() + 1e-3
    draw = torch.randn(value.shape[-1], generator=torch.Generator().manual_seed(0))
    return Edit("add", Address(site, layer, positions=(-1,), rows=(row,)), 2 * size * draw)


def _keys(model: Model, site: str) -> list[Key]:
    return (
        [(site, layer) for layer in range(model.arch.n_layers)] if SITES[site].per_layer else [(site, None)]
    )


def _middle(model: Model, site: str) -> int | None:
    return model.arch.n_layers // 2 if SITES[site].per_layer else None


def _spec(key: Key) -> Any:
    return key[0] if key[1] is None else key


def _off(a: Tensor, b: Tensor) -> float:
    """The largest difference, as a share of the largest entry; infinite for other shapes or NaN."""
    if a.shape != b.shape:
        return torch.inf
    off = (a.double() - b.double()).abs().max() / max(b.double().abs().max().item(), 1e-6)
    return off.item() if off.isfinite() else torch.inf


def _hooks(hf_model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in hf_model.modules())
