"""The one interface through which every method sees a model.

A backend fills in `_run` (one forward pass with taps) and `_unembed`, and says what it is; everything
that a user calls is here, so that it validates, behaves and fails alike on every backend.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp.architecture import Architecture, Identity
from interp.edits import Change, Edit
from interp.errors import EditError, InputError
from interp.models.cache import Cache, SiteSpec
from interp.models.checks import check_ranges, check_readout, check_residual_streams, refuse_site
from interp.models.continued import placed, runs_of, sweep_runs
from interp.models.editing import GradientTaps, Taps, check_value
from interp.models.every_site import check_room
from interp.models.facts import facts
from interp.models.generating.generates import Generates
from interp.models.plain_sweep import Sweep, plain_sweep
from interp.models.post_norm import PostNorm
from interp.models.rotary import run_by_scale, scales
from interp.readout import AnyReadout, Readout
from interp.showing import listed
from interp.sites import SITES, Address, find_site, parse_sites
from interp.tokens import Encoder, Prompt, Prompts, Tokens
from interp.vocabulary import labels

Exact = bool | Literal["auto"]


class Model(Generates, ABC):
    """A causal language model whose activations can be read and edited by name.

    Made by `interp.load_model`. Safe to call from several threads: one forward pass at a time.
    """

    backend: ClassVar[str]
    #: The Hugging Face model that it looks into.
    hf_model: PreTrainedModel
    #: How many bytes a sweep may take for what lies between its layers; None: half of what is free.
    memory: int | None = None
    #: What `interp.load_model` was given, by its names: another process loads the same model with it.
    loaded_from: Mapping[str, Any] = MappingProxyType({})
    #: Sites that this backend reaches on architectures that have them; where that depends on the
    #: architecture, the backend sets it for the model at hand.
    reach: frozenset[str] = frozenset(SITES)

    def __init__(
        self,
        *,
        tokenizer: PreTrainedTokenizerBase | None,
        architecture: Architecture,
        name: str,
        revision: str | None,
        device: torch.device,
        dtype: torch.dtype,
        bos_id: int | None,
        processing: str = "none",
    ) -> None:
        self.tokenizer = tokenizer
        self.arch = arch = architecture
        self.device = device
        self.dtype = dtype
        self.bos_id = bos_id
        self.encoder = Encoder(tokenizer, bos_id, arch.d_vocab, arch.n_ctx, d_vocab_in=arch.d_vocab_in)
        self.identity = Identity(
            name=name,
            revision=revision,
            backend=self.backend,
            dtype=str(dtype).removeprefix("torch."),
            device=str(device),
            bos="none" if bos_id is None else labels(tokenizer, [bos_id])[0],
            processing=processing,
        )
        self._lock = threading.RLock()

    # ---- what a backend provides ----

    @abstractmethod
    def _run(self, ids: Int[Tensor, "batch pos"], taps: Taps) -> Float[Tensor, "batch pos d_vocab"]:
        """One forward pass that brings every site of `taps.keys` to `taps.visit`."""

    @abstractmethod
    def _unembed(self, resid: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_vocab"]: ...

    @property
    @abstractmethod
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:
        """The unembedding, without the final norm."""

    @abstractmethod
    def W_O(self, layer: int) -> Float[Tensor, "head d_head d_model"]:
        """The output projection of each head: ``attn_out = sum over heads of z @ W_O`` plus `b_O`; with
        `Architecture.post_norms` that sum is what the norm behind it reads."""

    @abstractmethod
    def b_O(self, layer: int) -> Float[Tensor, " d_model"]:
        """What attention's output projection adds beside the heads; zero where it has no bias."""

    @abstractmethod
    def W_out(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """What each MLP neuron writes: ``mlp_out = mlp_act @ W_out`` plus `b_out`; with
        `Architecture.post_norms` that sum is what the norm behind it reads. `SiteError` where there is no
        one MLP."""

    @abstractmethod
    def b_out(self, layer: int) -> Float[Tensor, " d_model"]:
        """What the MLP's output projection adds beside the neurons; zero where it has no bias. `SiteError`
        where there is no one MLP."""

    @abstractmethod
    def post_norm(self, site: str, layer: int) -> PostNorm | None:
        """The norm behind attention (`site` "attn_out") or the MLP ("mlp_out") of a layer; None where there
        is none. `SiteError` where it is of a kind that gives no head or neuron a part of its own."""

    @property
    @abstractmethod
    def W_E(self) -> Float[Tensor, "d_vocab_in d_model"]:
        """The token embedding, in the units of ``embed``."""

    def plain_logits(self, ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Those of the model by itself, which a backend's own runs are held to."""
        return self.hf_model(input_ids=ids, use_cache=False).logits

    # ---- what a user calls ----

    def run_with_cache(
        self,
        prompts: Prompts,
        sites: Sequence[SiteSpec] | None = None,
        edits: Sequence[Edit] = (), *, logits: bool = True,
    ) -> Cache:  # fmt: skip
        """Run the model once and keep the activations at `sites`.

        `sites` are names ("resid_post": every layer), (site, layer) pairs, addresses or hook names; without
        them all that the model has (`Model.sites`) are kept, in every layer, and with () none. With
        `logits` False there are none: a backend may stop behind the last site.
        Raises `SiteError` where the model or backend has no such site, `EditError` for an edit that
        cannot be carried out, `InputError` for a prompt that cannot be used, or where the memory has no
        room for every site.
        """
        tokens = self.to_tokens(prompts)
        if sites is None:
            sites, on = self.sites, (self.dtype, self.device)
            check_room(self.arch, sites, tokens, on=on, allowed=self.memory, logits=logits)
        addresses = parse_sites(sites, self.arch.n_layers)
        self._check(addresses, edits, tokens)
        taps = Taps(addresses, edits, tokens.lengths)
        run = self._run if logits else self._run_to_last_site
        with self._lock, torch.no_grad():
            found = run_by_scale(run, tokens.ids.to(self.device), taps, scales(self.hf_model))
        taps.check_all_visited()
        # In the order of the sites, which is the same on every backend, whatever it reached first.
        values = {key: taps.values[key] for key in taps.keys if key in taps.values}
        return Cache(values, logits=found, tokens=tokens)

    def forward(self, prompts: Prompts, edits: Sequence[Edit] = ()) -> Float[Tensor, "batch pos d_vocab"]:
        """The logits with `edits` carried out, in their order at each site."""
        return self.run_with_cache(prompts, (), edits).logits

    def sweep(
        self,
        prompt: Tokens | Prompt,
        branches: Sequence[Sequence[Edit]],
        readout: AnyReadout,
        *,
        batch_size: int = 64,
        exact: Exact = "auto",
    ) -> Sweep:
        """Run one prompt once for each branch, a list of edits, and read out what `readout` says of its runs.

        The values [branch, ...] of all branches are returned in their order, on the CPU. Where an answer
        follows the prompt in the runs, `interp.models.continued` says where edits act. A backend that can
        compute them as branches of one run does so (`interp.models.branching`), within `memory`; elsewhere
        they share forward passes, `batch_size` of them at a time.

        `exact` True takes the plain forward passes in any case. "auto" takes branches where, on first use
        with a model, some of them agree with plain passes. False takes them without that comparison.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1; got {batch_size}.")
        if exact not in ("auto", True, False):
            raise InputError(f"exact={exact!r} is no choice; use 'auto', true or false.")
        tokens = self.to_tokens(prompt).repeat(1)
        check_readout(readout, n_pos=tokens.lengths[0], d_vocab=self.arch.d_vocab)
        for edit in (edit for branch in branches for edit in branch):
            if edit.address.rows is not None:
                raise EditError(f"An edit of a branch concerns one prompt; leave rows out of {edit.address}.")
            self._check((), [edit], tokens)

        def sweep_run(run: Tokens, branches: Sequence[Sequence[Edit]], part: Readout) -> Sweep:
            if exact is not True:
                with self._lock, torch.no_grad():
                    found = self._branched(run, branches, part, compare=exact == "auto")
                if found is not None:
                    return Sweep(found.cpu(), "branching")
            return Sweep(self._plain_sweep(run, branches, part, batch_size), "plain")

        return sweep_runs(sweep_run, tokens, branches, readout, self.arch.n_ctx)

    def _plain_sweep(
        self, tokens: Tokens, branches: Sequence[Sequence[Edit]], readout: Readout, batch_size: int
    ) -> Tensor:
        """What a sweep reads out, computed in plain passes of so many branches each."""
        return plain_sweep(self.forward, tokens, branches, readout, batch_size=batch_size)

    def _branched(
        self, tokens: Tokens, branches: Sequence[Sequence[Edit]], readout: Readout, *, compare: bool
    ) -> Tensor | None:
        """What a sweep reads out, computed as branches of one run; None where this backend cannot, or where
        it shall `compare` with plain passes first and they differ."""
        return None

    def gradients(
        self,
        prompt: Tokens | Prompt,
        sites: Sequence[SiteSpec],
        readout: AnyReadout,
        edits: Sequence[Edit] = (),
    ) -> list[Tensor]:
        """The gradient of the sum of what `readout` reads with respect to each activation at `sites`.

        The gradients have the shapes of the activations, in the order of `sites`, with a row for each run
        that `readout` reads; one is zero where the activation does not act on the logits. One forward and one
        backward pass.
        """
        tokens = self.to_tokens(prompt).repeat(1)
        check_readout(readout, n_pos=tokens.lengths[0], d_vocab=self.arch.d_vocab)
        addresses = parse_sites(sites, self.arch.n_layers)
        self._check(addresses, edits, tokens)
        runs = runs_of(tokens, readout, self.arch.n_ctx)
        taps = GradientTaps(addresses, placed(edits, tokens, runs), runs.lengths)
        self.check_gradients()
        with self._lock, torch.enable_grad():
            logits = self._run(runs.ids.to(self.device), taps)
            taps.check_all_visited()
            wanted = [taps.values[address.site, address.layer] for address in addresses]
            found = torch.autograd.grad(readout(logits).sum(), wanted, allow_unused=True)
        return [torch.zeros_like(x) if g is None else g for x, g in zip(wanted, found, strict=True)]

    def run_layer(
        self,
        prompt: Tokens | Prompt,
        layer: int,
        resid: Float[Tensor, "row pos d_model"],
        sites: Sequence[str],
        edits: Sequence[Edit] = (),
    ) -> dict[str, Tensor]:
        """What the `sites` of one layer are, [row, ...] each, if it reads these residual streams instead of
        the prompt's own. Positions and masks are those of the prompt's run.

        `edits` act within this layer, on `rows` of `resid`. A backend that can run a layer by itself does so;
        elsewhere the streams are set in forward passes of the whole model, all rows at once.
        """
        tokens, edits = self._layer_edits(prompt, layer, resid, edits)
        addresses = [Address(site, layer) for site in sites]
        self._check(addresses, (), tokens)
        taps = Taps(addresses, edits, tokens.lengths)
        with self._lock, torch.no_grad():
            self._run_layer(tokens, layer, taps)
        taps.check_all_visited()
        return {site: taps.values[site, layer] for site in sites}

    def layer_gradients(
        self,
        prompt: Tokens | Prompt,
        layer: int,
        resid: Float[Tensor, "row pos d_model"],
        site: str,
        weights: Mapping[str, Tensor],
        edits: Sequence[Edit] = (),
    ) -> Tensor:
        """The gradient, with respect to `site` in each row, of ``sum(weights[name] * activation at name)`` in
        the layer as `run_layer` runs it.

        Where `weights`, [row, ...] each, are gradients of a metric with respect to some activations (only one
        head's, say), that is the metric's gradient along the paths from `site` through these alone.
        """
        tokens, edits = self._layer_edits(prompt, layer, resid, edits)
        addresses = [Address(name, layer) for name in (site, *weights)]
        self._check(addresses, (), tokens)
        taps = GradientTaps(addresses, edits, tokens.lengths)
        self.check_gradients()
        with self._lock, torch.enable_grad():
            self._run_layer(tokens, layer, taps)
            taps.check_all_visited()
            total = sum(
                ((taps.values[name, layer] * x).sum() for name, x in weights.items()), torch.zeros(())
            )
            return torch.autograd.grad(total, taps.values[site, layer])[0]

    def _layer_edits(
        self, prompt: Tokens | Prompt, layer: int, resid: Tensor, edits: Sequence[Edit]
    ) -> tuple[Tokens, list[Edit]]:
        """The prompt once for each row of `resid`, and all edits of a layer that reads these; checked."""
        tokens = self.to_tokens(prompt).repeat(1)
        check_residual_streams(resid, n_pos=tokens.lengths[0], d_model=self.arch.d_model)
        tokens = tokens.repeat(len(resid))
        edits = [Edit.set("resid_pre", layer, value=resid), *edits]
        for edit in edits:
            self._check((), [edit], tokens)
            if edit.address.layer != layer:
                raise EditError(f"Layer {layer} runs by itself, so nothing can be edited at {edit.address}.")
        return tokens, edits

    def _run_layer(self, tokens: Tokens, layer: int, taps: Taps) -> None:
        """Bring the sites of a layer to `taps`, which set what it reads."""
        self._run(tokens.ids.to(self.device), taps)

    def _run_to_last_site(self, ids: Tensor, taps: Taps, past: Any | None = None) -> None:
        """`_run`, of which what comes after the last site of `taps` may be left out. With `past`, of a
        backend that keeps keys and values, `ids` are those that it does not know."""
        self._run(ids, taps)

    def unembed(
        self, resid: Float[Tensor, "*any d_model"], *, differentiable: bool = False
    ) -> Float[Tensor, "*any d_vocab"]:
        """Logits of a residual-stream vector: final norm, unembedding, and any soft cap.

        With `differentiable`, gradients with respect to `resid` can be taken.
        """
        if resid.shape[-1] != self.arch.d_model:
            raise InputError(
                f"unembed takes vectors of width {self.arch.d_model}, not of shape {list(resid.shape)}."
            )
        with self._lock, torch.set_grad_enabled(differentiable):
            return self._unembed(resid.to(self.device, self.dtype))

    @property
    def sites(self) -> list[str]:
        """The sites that can be read and edited on this model with this backend."""
        return [site for site in SITES if site in self.reach - self._absent.keys()]

    @property
    def _absent(self) -> dict[str, str]:
        """The sites that this architecture does not have, on any backend, each with the reason."""
        absent = {}
        if self.arch.parallel_attention:
            absent["resid_mid"] = "runs attention and MLP in parallel"
        if self.arch.d_mlp is None:
            absent["mlp_act"] = "has no one MLP (a mixture of experts, or none at all)"
        return absent

    # ---- checks ----

    def _check(self, addresses: Sequence[Address], edits: Sequence[Edit], tokens: Tokens) -> None:
        """Refuse addresses that this model or these prompts do not have, and edits that it cannot take."""
        for address in (*addresses, *(edit.address for edit in edits)):
            self.check_site(address.site)
            check_ranges(address, self.arch, tokens.lengths)
        for edit in edits:
            check_value(edit, self.dtype)
            if isinstance(edit.value, Change):
                edit.value.check(self)

    def check_site(self, site: str) -> None:
        """Raise `SiteError` where this model on this backend does not have `site`."""
        find_site(site)
        if site not in self.sites:
            refuse_site(site, self.identity, self.arch, why=self._absent.get(site), sites=self.sites)

    def check_gradients(self) -> None:
        """`InputError` where no gradient of this model can be relied on."""

    def __repr__(self) -> str:
        i, a = self.identity, self.arch
        return (
            f"<Model {i.name} on {i.backend}: {a.n_layers} layers, {a.n_heads} heads, "
            f"d_model {a.d_model}, {i.dtype} on {i.device}>"
        )

    def _repr_html_(self) -> str:
        return listed(repr(self).strip("<>"), facts(self))
