"""A model without its weights: its sizes, from the configuration alone, and a narrow stand-in for it."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from interp.architecture import Architecture
from interp.errors import ModelLoadError, first_line
from interp.files import read_text
from interp.models.layouts import architecture, check_layout, find_layout, part
from interp.models.sources import source_of

_LARGEST = 1_000_000  # bytes of a configuration
_NARROW_HEAD = 8  # the width of a head of the stand-in
#: What configurations call their widths, and what those of a stand-in are.
_WIDTHS = {"intermediate_size": 32, "n_inner": 32, "ffn_dim": 32, "moe_intermediate_size": 8}
_LAYERS = ("num_hidden_layers", "n_layer")


@dataclass(frozen=True, eq=False)
class Shape:
    """A model by its configuration."""

    name: str
    config: Any

    @classmethod
    def of(cls, name: str, *, revision: str | None = None) -> Shape:
        """Of a short name, a folder, a Hugging Face id, or a file with a configuration as JSON. Nothing else
        is read. `ModelLoadError` where there is no configuration, or of an unknown architecture."""
        try:
            if name.endswith(".json"):
                values = json.loads(read_text(Path(name), largest=_LARGEST, error=ModelLoadError))
                return cls(Path(name).stem, AutoConfig.for_model(**values))
            return cls(name, AutoConfig.from_pretrained(source_of(name, revision), revision=revision))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelLoadError(
                f"There is no configuration of {name!r} to plan with ({first_line(error)}); give a folder or "
                "a file with its config.json."
            ) from None

    @cached_property
    def meta(self) -> PreTrainedModel:
        """All of its modules, without numbers."""
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(self.config)

    @cached_property
    def arch(self) -> Architecture:
        layout = find_layout(self.meta)
        check_layout(self.meta, layout)
        return architecture(self.meta, layout)

    @cached_property
    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.meta.parameters())

    @cached_property
    def layer_parameters(self) -> float:
        """Of a layer, the mean."""
        layers = part(self.meta, find_layout(self.meta).layers)
        return sum(weight.numel() for layer in layers for weight in layer.parameters()) / len(layers)

    @cached_property
    def active_parameters(self) -> float:
        """Those of a layer that a token meets: of experts, as many as it is sent to."""
        layers = part(self.meta, find_layout(self.meta).layers)
        experts = sum(
            weight.numel()
            for layer in layers
            for name, weight in layer.named_parameters()
            if ".experts." in f".{name}"
        ) / len(layers)
        text = self.config.get_text_config()
        n = getattr(text, "num_experts", None) or getattr(text, "num_local_experts", None) or 1
        chosen = getattr(text, "num_experts_per_tok", None) or n
        return self.layer_parameters - experts * (1 - chosen / n)

    def operations_per_row(self, n_keys: float) -> float:
        """Of a layer, for one position that looks at so many."""
        return 2 * self.active_parameters + 4 * n_keys * self.arch.n_heads * self.arch.d_head

    def layers_alone(self, n_layers: int) -> PreTrainedModel:
        """So many of its layers in their real width, random, with a small vocabulary."""
        return _built(_with(self.config, n_layers=n_layers, vocab_size=256))

    def stand_in(self, *, n_layers: int, n_tokens: int, seed: int, wide_mlp: bool = False) -> PreTrainedModel:
        """A narrow model of the same heads, and of so many layers and tokens, random."""
        config = _with(self.config, n_layers=n_layers, vocab_size=n_tokens)
        text = config.get_text_config()
        if not wide_mlp:
            for name, width in _WIDTHS.items():
                if getattr(text, name, None):
                    setattr(text, name, width)
        text.hidden_size = _NARROW_HEAD * (4 if hasattr(text, "head_dim") else self.arch.n_heads)
        if getattr(text, "head_dim", None):
            text.head_dim = _NARROW_HEAD
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = _built(config)
            for weight in model.parameters():  # as large as those of trained models, so that runs differ
                if weight.ndim > 1:
                    torch.nn.init.normal_(weight, std=0.3)
        return model


def _with(config: Any, *, n_layers: int, vocab_size: int) -> Any:
    """A configuration of so many layers and tokens."""
    config = copy.deepcopy(config)
    text = config.get_text_config()
    before = text.num_hidden_layers
    text.num_hidden_layers = n_layers
    for name, value in vars(text).items():
        if isinstance(value, list | tuple) and len(value) == before and "layer" in name:
            setattr(text, name, list(value)[:n_layers])
    text.vocab_size = vocab_size
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if getattr(config, name, None) is not None:
            setattr(config, name, None)
    return config


def _built(config: Any) -> PreTrainedModel:
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().float()
