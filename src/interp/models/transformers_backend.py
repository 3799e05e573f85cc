"""Plain Hugging Face modules with hooks: the default backend, and the reference for the others.

`interp.models.hooked` says how sites are reached; how sweeps and single layers are computed more cheaply
than by plain forward passes, `interp.models.branching`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from interp.edits import Edit
from interp.models.branching.agreement import layers_agree, sweeps_agree
from interp.models.branching.base_run import BaseRun
from interp.models.branching.single_layer import run_layer
from interp.models.branching.sweep import sweep
from interp.models.editing import Taps
from interp.models.evaluation import modules_and_hooks
from interp.models.hooked import HookedModel, Pass
from interp.models.keeping import KeptKeys, goes_on_joined, why_not_kept
from interp.models.layouts import Layout
from interp.readout import Readout
from interp.tokens import Tokens


class TransformersModel(HookedModel):
    """A Hugging Face causal language model, in memory; sweeps and single layers by branching."""

    backend = "transformers"

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        super().__init__(hf_model, layout=layout, **identity)
        #: Whether branches give what plain passes give (`sweeps_agree`), for the modules and hooks with
        #: which they were compared: their owner may add to them later.
        self._sweeps_agree: dict[Any, bool] = {}
        #: The same for a layer that is called by itself (`layers_agree`).
        self._layers_agree: dict[Any, bool] = {}
        #: Why text is not generated from keys and values that are kept (`why_not_kept`).
        self._why_not_kept: dict[Any, str] = {}
        #: Whether texts of several lengths go on in one pass (`goes_on_joined`).
        self._goes_on_joined: dict[Any, bool] = {}
        #: The run of the last prompt of which single layers were run, for its masks and positions.
        self._base: BaseRun | None = None

    def new_past(self) -> KeptKeys:
        return KeptKeys()

    def run_last(self, ids: Tensor, taps: Taps, past: KeptKeys | None) -> Tensor:
        kept: dict[str, Any] = {} if past is None else {"past_key_values": past.cache}
        if past is not None and past.pads is not None:
            mask, positions = past.places(ids.shape[1])
            kept |= {"attention_mask": mask} | ({"position_ids": positions} if self._takes_positions else {})
        with self.borrowed(Pass(taps), taps.keys, len(ids)):
            return self.hf_model(
                input_ids=ids.to(self.device), use_cache=past is not None, **kept, **self._last_alone
            ).logits[:, -1]

    @cached_property
    def _last_alone(self) -> dict[str, int]:
        """What asks for the logits of the last position alone, of models that can be asked."""
        return (
            {"logits_to_keep": 1} if "logits_to_keep" in signature(self.hf_model.forward).parameters else {}
        )

    @cached_property
    def _takes_positions(self) -> bool:
        """Whether it is told the positions of tokens; others count them by the mask."""
        return "position_ids" in signature(self.hf_model.forward).parameters

    def goes_on_joined(self) -> bool:
        modules = modules_and_hooks(self.hf_model)
        if modules not in self._goes_on_joined:
            with self._lock, torch.no_grad():
                self._goes_on_joined = {modules: goes_on_joined(self)}
        return self._goes_on_joined[modules]

    def why_uncached(self) -> str:
        modules = modules_and_hooks(self.hf_model)
        if modules not in self._why_not_kept:
            with self._lock, torch.no_grad():
                self._why_not_kept = {modules: why_not_kept(self)}
        return self._why_not_kept[modules]

    def _branched(
        self, tokens: Tokens, branches: Sequence[Sequence[Edit]], readout: Readout, *, compare: bool
    ) -> Tensor | None:
        if not self.sees_attention:
            return None
        if compare:
            modules = modules_and_hooks(self.hf_model)
            if modules not in self._sweeps_agree:
                self._sweeps_agree = {modules: sweeps_agree(self, tokens, branches)}
            if not self._sweeps_agree[modules]:
                return None
        return sweep(self, tokens, branches, readout)

    def _run_layer(self, tokens: Tokens, layer: int, taps: Taps) -> None:
        modules = modules_and_hooks(self.hf_model)
        with torch.no_grad():
            if self.sees_attention and modules not in self._layers_agree:
                self._layers_agree, self._base = {modules: layers_agree(self, tokens)}, None
            if not self._layers_agree.get(modules):
                self._base = None
            elif self._base is None or not torch.equal(self._base.tokens.ids, tokens.ids[:1]):
                self._base = BaseRun(self, Tokens(tokens.ids[:1], tokens.lengths[:1]), ())
        if self._base is None:
            super()._run_layer(tokens, layer, taps)
            return
        run_layer(self._base, layer, taps, len(tokens))
