"""What a model must satisfy to be looked into: checked in a few short passes when it is loaded.

1. One plain forward pass of the Hugging Face model, and one of ours that reads every site. Of two prompts
that differ in their last token, no earlier logit may differ: padding and sweeps rely on it.
2. The activations must have the usual shapes and be parts of one computation: they add up, heads and neurons
   write what the weights say, and the last of them unembeds to the logits.
3. One pass with a row for each site, set to its own value (nothing may change), and one with a row for
   each site, disturbed at all positions (something must change, unless the weights explain why not).

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
from interp.models.evaluation import evaluating
from interp.models.no_effect import weights_explain
from interp.models.packed_weights import is_packed
from interp.models.slices import own_slice
from interp.sites import SITES, Address, parse_sites
from interp.tokens import Tokens

#: Largest difference that rounding may explain, as a share of the largest entry compared.
# (Many architectures compute softmax and norms in float32, in float64 models too.)
ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def allowed_rounding(model: Model) -> float:
    """The largest difference that rounding may explain in a model. Where numbers of a row depend on the rows
    beside it, as bitsandbytes computes in 8 bits, that is more than its precision says."""
    mixed = getattr(model, "packed", None) == "bitsandbytes int8"
    return max(ROUNDING[model.dtype], ROUNDING[torch.float16] if mixed else 0.0)


@dataclass(frozen=True)
class Check:
    """One property of a loaded model: how far it is off, as a share of the largest entry compared.

    ``where`` names the place at which it is furthest off, or what is wrong there; ``note`` what is worth
    knowing of a model that is right.
    """

    name: str
    off: float
    allowed: float
    where: str = ""
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the difference is no more than rounding. NaN does not pass."""
        return self.off <= self.allowed


def self_check(model: Model) -> tuple[Check, ...]:
    """Every check of `model`. Leaves it, and the Hugging Face model that it looks into, as they were."""
    hf_model, ids = model.hf_model, probe(model)
    hooks = _hooks(hf_model)
    with torch.no_grad(), evaluating(hf_model):
        plain, other = model.plain_logits(_with_another_end(model, ids))[:, None]
    bad_weights = [
        name
        for name, p in _plain_weights(hf_model)
        if p.device.type != "meta" and not own_slice(p).sum(dtype=torch.float32).isfinite()
    ]
    finite = "weights and activations are finite"
    if bad_weights or not plain.isfinite().all():
        where = f"in {bad_weights[0]}" if bad_weights else "in the logits of a plain forward pass"
        return (Check(finite, torch.inf, 0.0, where),)
    cache = model.run_with_cache(Tokens.pad([ids[0].tolist()]), model.sites)
    shapes = _shapes(model, cache)
    checks = [Check(finite, 0.0, 0.0), shapes]
    allowed = allowed_rounding(model)
    if ids.shape[1] > 1 and model.arch.d_vocab_in > 1:
        checks.append(Check("a token changes no earlier logits", _off(other[:, :-1], plain[:, :-1]), allowed))
    if shapes.passed:
        checks += [*_parts(model, cache), *_edits(model, cache)]
    if model.identity.processing == "folded":  # centring the unembedding shifts all logits alike
        off = _off(cache.logits.log_softmax(-1), plain.log_softmax(-1))
    else:
        off = _off(cache.logits, plain)
    checks.insert(1, Check("logits are those of a plain forward pass", off, allowed))
    kept = "generation from kept keys and values is that without"
    checks.append(Check(kept, 0.0, allowed, note=model.why_uncached()))
    left = _hooks(hf_model) - hooks
    checks.append(Check("no hook stays behind", float(left), 0.0))
    return tuple(checks)


def require(checks: Iterable[Check], model: Model) -> None:
    """Raise `ModelLoadError` for the first check that failed."""
    for check in checks:
        if not check.passed:
            where = f" ({check.where})" if check.where else ""
            hooked = [name for name, part in model.hf_model.named_modules() if _hooks_on(part)]
            also = f" and the hooks that it brings (on {hooked[0] or 'the whole model'})" if hooked else ""
            raise ModelLoadError(
                f"{model.identity.name} failed its self-check on the {model.backend} backend: "
                f"'{check.name}' is off by {check.off:.1g} of the largest entry{where}, so it would give "
                f"wrong numbers; check its weights and layout{also}, or load it all the same with "
                "self_check=False."
            )


def rounding(model: Model, rounded: Model) -> str:
    """How far logits are off in a lower precision, in words, on the ids of the checks."""
    ids = probe(model)
    exact, other = (one.plain_logits(ids.to(one.device)).double().cpu() for one in (model, rounded))
    alike = int((exact.argmax(-1) == other.argmax(-1)).sum())
    return (
        f"In {rounded.identity.dtype}, logits are off by up to {float((exact - other).abs().max()):.2g} "
        f"(their standard deviation is {float(exact.std()):.2g}), and the first choice is the same at "
        f"{alike} of {ids.numel()} positions."
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
    allowed = allowed_rounding(model)

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
    """The ids [1, pos] that the checks run on: a few from all over the vocabulary, all different where there
    are as many. (Not the first one, which often is for padding.)"""
    n, n_ids = min(6, model.arch.n_ctx or 6), model.arch.d_vocab_in
    generator = torch.Generator().manual_seed(0)
    if n_ids <= n:
        return torch.arange(n - 1, -1, -1)[None] % n_ids
    return torch.randperm(n_ids - 1, generator=generator)[:n][None] + 1


def _with_another_end(model: Model, ids: Tensor) -> Tensor:
    """The prompt, and once more with another last token, [2, pos]."""
    other = ids.clone()
    other[:, -1] = (ids[:, -1] + 1) % model.arch.d_vocab_in
    return torch.cat([ids, other]).to(model.device)


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
        return Check(name, off, allowed_rounding(model), where)

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
    behind = ", behind a norm" if arch.post_norms else ""
    for site, whole, name in (
        ("z", "attn_out", f"heads write z W_O, and a bias{behind}"),
        ("mlp_act", "mlp_out", f"neurons write mlp_act W_out, and a bias{behind}"),
    ):
        if {site, whole} <= have and _says_what_it_writes(model, whole):
            yield worst(name, layers(lambda n, whole=whole: _whole_and_by_parts(model, cache, n, whole)))
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
    return Check(name, max(off.max().item(), future), allowed_rounding(model))


def _mixed(cache: Cache, layer: int, groups: int) -> Tensor:
    v = cache["v", layer].repeat_interleave(groups, dim=2)  # [batch, pos, head, d_head]
    return torch.einsum("bhqk,bkhd->bqhd", cache["pattern", layer], v)


def _says_what_it_writes(model: Model, site: str) -> bool:
    """Whether weights, and what is behind them, say what heads (of "attn_out") or neurons ("mlp_out")
    write."""
    try:
        for layer in range(model.arch.n_layers):
            model.post_norm(site, layer)
            model.W_O(layer) if site == "attn_out" else model.W_out(layer)
    except SiteError:
        return False
    return True


def _whole_and_by_parts(model: Model, cache: Cache, layer: int, site: str) -> tuple[Tensor, Tensor]:
    """What attention ("attn_out") or the MLP ("mlp_out") writes, and the same from its heads or neurons."""
    whole, norm = cache[site, layer], model.post_norm(site, layer)
    if site == "attn_out":
        parts = torch.einsum("bphd,hdm->bpm", cache["z", layer], model.W_O(layer))
        bias = model.b_O
    else:
        parts, bias = cache["mlp_act", layer] @ model.W_out(layer), model.b_out
    if norm is not None:
        return whole, norm(parts + bias(layer))
    return whole, parts + (whole - parts)[:, :1]  # what they differ by at the first position is a bias


def _edits(model: Model, cache: Cache) -> Iterator[Check]:
    """Setting a site to its own value changes nothing; disturbing it changes the logits."""
    allowed = allowed_rounding(model)
    keys = [(site, _middle(model, site)) for site in model.sites]
    same = [Edit("set", Address(*key, rows=(row,)), cache[_spec(key)]) for row, key in enumerate(keys)]
    offs = _effects(model, cache, same)
    worst = max(range(len(keys)), key=lambda row: offs[row])
    yield Check("setting a site to itself changes nothing", offs[worst], allowed, keys[worst][0])

    def still(keys: list[Key]) -> dict[Key, Edit]:
        edits = [_disturbance(*key, cache[_spec(key)], row=row) for row, key in enumerate(keys)]
        effects = _effects(model, cache, edits)
        found = zip(keys, edits, effects, strict=True)
        return {key: edit for key, edit, effect in found if effect < allowed / 100}

    # A layer may have been cut out of a model: a site is only amiss where it does nothing in any.
    everywhere = {site: _keys(model, site) for site, _ in still(keys)}
    nothing = still([key for keys in everywhere.values() for key in keys])
    silent = [site for site, keys in everywhere.items() if nothing.keys() >= set(keys)]
    explained = [
        site
        for site in silent
        if all(weights_explain(model, cache, nothing[key]) for key in everywhere[site])
    ]
    amiss = [site for site in silent if site not in explained]
    note = f"by the weights, none at {', '.join(explained)}" if explained else ""
    yield Check("an edit at any site changes the logits", float(len(amiss)), 0.0, ", ".join(amiss), note)


def _effects(model: Model, cache: Cache, edits: list[Edit]) -> list[float]:
    """How far each edit, in a row of its own, moves the logits of the prompt in `cache`."""
    if not edits:
        return []
    logits = model.forward(cache.tokens.repeat(len(edits)), edits)  # [edit, pos, d_vocab]
    return [_off(row, cache.logits[0]) for row in logits]


def _disturbance(site: str, layer: int | None, value: Tensor, row: int = 0) -> Edit:
    """An edit of all positions that no later computation could overlook: other directions, as large. Of a
    pattern, other shares of what is there: a norm behind attention would take out a scale of all of them."""
    address = Address(site, layer, rows=(row,))
    generator = torch.Generator().manual_seed(0)
    if site == "pattern":
        return Edit("scale", address, 2 * torch.rand(value.shape[1:], generator=generator) - 1)
    size = value.double().square().sum().div(max(value.numel(), 1)).sqrt().item() + 1e-3
    return Edit("add", address, 2 * size * torch.randn(value.shape[1:], generator=generator))


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
    if not a.numel():
        return 0.0
    off = (a.double() - b.double()).abs().max() / max(b.double().abs().max().item(), 1e-6)
    return off.item() if off.isfinite() else torch.inf


def _plain_weights(hf_model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Those that are numbers by themselves, and not packed in few bits."""
    for name, module in hf_model.named_modules():
        if not is_packed(module):
            yield from module.named_parameters(name, recurse=False)


def _hooks(hf_model: nn.Module) -> int:
    return sum(map(_hooks_on, hf_model.modules()))


def _hooks_on(module: nn.Module) -> int:
    return len(module._forward_hooks) + len(module._forward_pre_hooks)
