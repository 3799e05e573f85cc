"""Models in nanoGPT's shape (https://github.com/karpathy/nanoGPT) as transformers' GPT-2, which is the same
computation under other names.

1. Take the state dict out of a module, a checkpoint or a file, and off it what compiling and training in
   parallel put in front of its names.
2. Read the sizes off the shapes; the number of heads, which no shape shows, off the configuration.
3. Take out of GPT-2 what the model lacks: its MLPs, where there are none, and its norms, where it was said
   that there are none. Turn the weights of linear layers round (GPT-2 keeps [in, out]), and put zeros where
   a model without biases has none.
4. Where a module was given, hold the logits of both to each other: a module whose names are nanoGPT's and
   whose forward pass is another (another activation, another norm) is refused.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from interp.errors import ModelLoadError, first_line
from interp.models.evaluation import evaluating

_LINEAR = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
_PREFIXES = re.compile(r"^((_orig_mod|module)\.)+")
_MASK = re.compile(r"\.attn\.(bias|masked_bias)$")  # kept by models from before flash attention
TOLERANCE = 1e-4  # of the largest logit


def from_nanogpt(
    source: nn.Module | Mapping[str, Any] | str | Path,
    *,
    n_head: int | None = None,
    activation: str = "gelu",
    norms: bool = True,
) -> GPT2LMHeadModel:
    """A model in nanoGPT's shape as the GPT-2 of transformers that gives the same logits.

        model = interp.load_model(interp.from_nanogpt("out/ckpt.pt"), token_names="names.json")

    Args:
        source: the module; its state dict; a checkpoint, as nanoGPT's train.py writes it; or the path of one,
            which is read as tensors and plain values and runs no code.
        n_head: the number of heads, where neither the module's ``config`` nor the checkpoint's ``model_args``
            says it.
        activation: transformers' name of the MLP's: "gelu" (nanoGPT's nn.GELU), "gelu_new" (nanoGPT's of
            before April 2023 and GPT-2's), "relu", "silu".
        norms: False for a model without any LayerNorm. (Its weights alone do not tell that from norms that
            have no weights of their own.)

    A model without MLPs is recognised by its tensors. Raises `ModelLoadError` where a tensor is missing or
    one is there that this shape has no place for, and, where a module is given, if its logits are others.
    """
    state, said = _state(source)
    state = {_PREFIXES.sub("", name): tensor for name, tensor in state.items()}
    state = {name: tensor for name, tensor in state.items() if not _MASK.search(name)}
    heads = n_head or said
    if heads is None:
        raise ModelLoadError("A state dict does not say how many heads there are; pass n_head=...")
    config = _config(state, heads, activation)
    with torch.device("meta"):
        model = GPT2LMHeadModel(config)
    _take_out(model, mlps=_has_mlps(state), norms=norms)
    _fill(model, state)
    if isinstance(source, nn.Module):
        _check_logits(source, model)
    return model.eval()


def _state(source: nn.Module | Mapping[str, Any] | str | Path) -> tuple[dict[str, Tensor], int | None]:
    """The state dict, and the number of heads where the source says it."""
    if isinstance(source, nn.Module):
        config = getattr(source, "config", None)
        return dict(source.state_dict()), getattr(config, "n_head", None)
    if isinstance(source, str | Path):
        source = _read(Path(source))
    if isinstance(source.get("model"), Mapping):
        return dict(source["model"]), dict(source.get("model_args", {})).get("n_head")
    return dict(source), None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelLoadError(f"There is no file {str(path)!r}; check the path.") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelLoadError(
            f"{str(path)!r} cannot be read as a checkpoint of tensors ({first_line(error)}); load it "
            "yourself and pass its state dict."
        ) from None
    if not isinstance(found, Mapping):
        raise ModelLoadError(f"{str(path)!r} holds a {type(found).__name__}, not a checkpoint.")
    return found


def _config(state: Mapping[str, Tensor], n_head: int, activation: str) -> GPT2Config:
    """The configuration that the shapes of the tensors say."""

    def rows(name: str) -> int:
        if name not in state:
            raise ModelLoadError(
                f"There is no {name!r} among the tensors, so this is no model in nanoGPT's shape; "
                "see docs/your-model.md for other shapes."
            )
        return len(state[name])

    layers = {int(found[1]) for name in state if (found := re.match(r"transformer\.h\.(\d+)\.", name))}
    d_model = state["transformer.wte.weight"].shape[1] if rows("transformer.wte.weight") else 0
    if n_head < 1 or d_model % n_head:
        raise ModelLoadError(f"n_head={n_head} does not divide the width {d_model}.")
    embedding, head = state["transformer.wte.weight"], state.get("lm_head.weight")
    return GPT2Config(
        vocab_size=rows("transformer.wte.weight"),
        n_positions=rows("transformer.wpe.weight"),
        n_embd=d_model,
        n_layer=len(layers),
        n_head=n_head,
        n_inner=rows("transformer.h.0.mlp.c_fc.weight") if _has_mlps(state) else 1,
        activation_function=activation,
        tie_word_embeddings=head is None or torch.equal(head, embedding),
        dtype=embedding.dtype,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )


class NoMLP(nn.Module):
    """In the place of an MLP, nothing: it adds zero to the residual stream."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        return torch.zeros_like(hidden_states)


def _has_mlps(state: Mapping[str, Tensor]) -> bool:
    return any(".mlp." in name for name in state)


def _take_out(model: GPT2LMHeadModel, *, mlps: bool, norms: bool) -> None:
    """Leave out what the model does not have."""
    for block in model.transformer.h:
        if not mlps:
            block.mlp = NoMLP()
        if not norms or not mlps:
            block.ln_2 = nn.Identity()
        if not norms:
            block.ln_1 = nn.Identity()
    if not norms:
        model.transformer.ln_f = nn.Identity()


def _fill(model: GPT2LMHeadModel, state: Mapping[str, Tensor]) -> None:
    """Put the tensors in their places; `ModelLoadError` for one too many, too few, or of another shape."""
    left, filled = dict(state), {}
    for name, wanted in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            left.pop(name, None)
            continue
        tensor = left.pop(name, None)
        if tensor is None and name.endswith(".bias"):
            tensor = torch.zeros(wanted.shape)
        elif tensor is None:
            hint = "if there are no norms, pass norms=False." if ".ln_" in name else "is it whole?"
            raise ModelLoadError(f"The tensor {name!r} is missing in the state dict; {hint}")
        elif name.removesuffix(".weight").endswith(_LINEAR):
            tensor = tensor.T
        if tensor.shape != wanted.shape:
            raise ModelLoadError(
                f"The tensor {name!r} is {list(tensor.shape)}, where GPT-2 has {list(wanted.shape)}."
            )
        filled[name] = tensor.detach().to(model.config.dtype).clone(memory_format=torch.contiguous_format)
    if left:
        raise ModelLoadError(
            f"The model has {min(left)!r}, for which nanoGPT's shape has no place, so it computes something "
            "else; see docs/your-model.md for other shapes."
        )
    model.load_state_dict(filled, strict=False, assign=True)
    model.tie_weights()


def _check_logits(module: nn.Module, model: GPT2LMHeadModel) -> None:
    """`ModelLoadError` where the logits of the last position differ (nanoGPT gives no others)."""
    device = next(module.parameters()).device
    model.to(device)
    length = min(8, model.config.n_positions)
    ids = torch.linspace(0, model.config.vocab_size - 1, length, device=device).long()[None]
    with torch.no_grad(), evaluating(module):
        given: Any = module(ids)
        own = model.eval()(input_ids=ids, use_cache=False).logits[:, -1].double()
    logits = (given[0] if isinstance(given, tuple) else given)[:, -1].double()
    off = (logits - own).abs().max() / logits.abs().max().clamp(min=1e-6)
    if not off <= TOLERANCE * (1 if model.dtype in (torch.float32, torch.float64) else 300):
        raise ModelLoadError(
            f"The module has nanoGPT's names, but its logits differ from those of GPT-2 by {off:.1g} of the "
            "largest; try another activation=..., or see docs/your-model.md for other shapes."
        )
