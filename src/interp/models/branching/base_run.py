"""The run of a prompt from which branches set out, with all that they take from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from interp.edits import Edit
from interp.models.editing import Key, Taps, apply_edit
from interp.models.hooked import HookedModel, Pass
from interp.readout import Readout
from interp.sites import Address
from interp.tokens import Tokens


class Recording(Pass):
    """The pass of the base run: it keeps each layer's arguments, its keys and values and its mask."""

    def __init__(self, taps: Taps) -> None:
        super().__init__(taps)
        self.calls: list[tuple[tuple, dict[str, Any]]] = []
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self.masks: dict[int, Tensor | None] = {}

    def attend(
        self, module: Any, eager: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        layer = module.layer_idx
        self.keys[layer], self.values[layer], self.masks[layer] = k, v, mask
        return super().attend(module, eager, q, k, v, mask, **kwargs)


class BaseRun:
    """One prompt's run, from which branches set out."""

    def __init__(self, model: HookedModel, tokens: Tokens, keys: Iterable[Key]) -> None:
        self.model, self.tokens = model, tokens
        self.n_pos = tokens.lengths[0]
        n_layers = model.arch.n_layers
        wanted = {*keys, *(("resid_pre", layer) for layer in range(n_layers)), ("resid_post", n_layers - 1)}
        self.taps = Taps([Address(*key) for key in wanted], (), tokens.lengths)
        self.recording = Recording(self.taps)
        with model.borrowed(self.recording, self.taps.keys, 1):
            handles = [
                layer.register_forward_pre_hook(self._keep, with_kwargs=True) for layer in model.layers
            ]
            try:
                ids = tokens.ids.to(model.device)
                model.hf_model.base_model(input_ids=ids, use_cache=False)
            finally:
                for handle in handles:
                    handle.remove()
        self.resid = [self.taps.values["resid_pre", layer] for layer in range(n_layers)]
        self.resid.append(self.taps.values["resid_post", n_layers - 1])  # [1, pos, d_model] each

    def _keep(self, _: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        self.recording.calls.append((args[1:], {k: v for k, v in kwargs.items() if k != "hidden_states"}))

    def call(self, layer: int, x: Tensor, rows: list[int]) -> Tensor:
        """The decoder layer on packed rows [1, rows, d_model], which stand at these positions."""
        args, kwargs = self.recording.calls[layer]

        def here(value: Any) -> Any:
            if isinstance(value, tuple | list):
                return type(value)(here(item) for item in value)
            # rotary angles and position ids are [1, pos, ...]; a mask is [1, 1, pos, pos], and ours to apply
            if isinstance(value, Tensor) and value.ndim in (2, 3) and value.shape[:2] == (1, self.n_pos):
                return value[:, torch.tensor(rows, device=value.device)]
            return value

        output = self.model.layers[layer](x, *map(here, args), **{k: here(v) for k, v in kwargs.items()})
        return output[0] if isinstance(output, tuple) else output

    def changes_nothing(self, edits: Sequence[Edit]) -> bool:
        """Whether all edits set what is there already, bit for bit."""

        def same(edit: Edit) -> bool:
            key = (edit.address.site, edit.address.layer)
            if edit.op != "set" or key not in self.taps.values:
                return False
            value = self.taps.values[key]
            return torch.equal(apply_edit(value, edit, self.tokens.lengths), value)

        return all(map(same, edits))

    def read(self, readout: Readout) -> Tensor:
        """The base run's last residual stream where it is read out, [1, position, d_model]."""
        return self.resid[-1][:, list(readout.positions)]
