"""Cross-layer transcoders on disk: written as circuit-tracer keeps them, and read from its folders and from
those of Gemma Scope 2 (`interp.saes.published`). SAELens has no cross-layer transcoder of its own.

Ours have more in ``config.yaml``, under ``interp``: the norm of each layer (``norms``), `k` of a TopK, the
``unembed_sha256`` of the model (see `interp.models.unembedding`) and how they were trained. A BatchTopK is
written as a JumpReLU with one threshold, as elsewhere. What the features read is named as in
`interp.saes.transcoder_hooks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import yaml
from jaxtyping import Float
from safetensors.torch import save_file

from interp.errors import InputError, first_line
from interp.models.base import Model
from interp.saes.activations import Activation, JumpReLU, Standard, TopK
from interp.saes.cross_layer import CrossLayerTranscoder
from interp.saes.layout import SPARSITY, kept_activation, log_density, same_model
from interp.saes.published import circuit_tracer, gemma_scope
from interp.saes.transcoder import InputNorm, Transcoder
from interp.saes.transcoder_hooks import check_hooks, with_norm
from interp.saes.weight_files import UNREADABLE, Config, WeightsByName

#: By the file that the first layer has.
_FORMATS: dict[str, ModuleType] = {
    circuit_tracer.ENCODER: circuit_tracer,
    gemma_scope.CROSS_LAYER: gemma_scope,
}


def is_cross_layer(folder: Path) -> bool:
    """Whether a folder holds a cross-layer transcoder."""
    return _format(folder) is not None


def _format(folder: Path) -> tuple[str, ModuleType] | None:
    found = [(file, read) for file, read in _FORMATS.items() if (folder / file.format(layer=0)).is_file()]
    return found[0] if found else None


def write_cross_layer(
    folder: Path,
    transcoder: CrossLayerTranscoder,
    *,
    density: Float[np.ndarray, "layer feature"] | None,
    training: Mapping[str, Any] | None,
) -> None:
    """Write one to a folder, in the dtype that it has. `OSError` where it cannot be written."""
    first = transcoder[0]
    own = {
        "norms": [{"kind": one.norm.kind, "eps": one.norm.eps} for one in transcoder],
        "k": first.activation.k if isinstance(first.activation, TopK) else None,
        "revision": first.revision,
        "processing": first.processing,
        "unembed_sha256": first.unembed_sha256,
        "training": None if training is None else dict(training),
    }
    topk = "topk_" if isinstance(first.activation, TopK) else ""
    skip = "" if first.W_skip is None else "skip_"
    config = {
        "model_name": first.model,
        "model_kind": f"{topk}{skip}{circuit_tracer.KIND}",
        "feature_input_hook": "hook_resid_mid" if first.norm.kind == "none" else "ln2.hook_normalized",
        "feature_output_hook": "hook_mlp_out",
        "interp": own,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for layer, one in enumerate(transcoder):
        weights = {"W_enc": one.W_enc.T, "b_enc": one.b_enc, "b_dec": one.b_dec}
        weights |= kept_activation(one.activation, one.b_enc)[1]
        if one.W_skip is not None:
            weights["W_skip"] = one.W_skip
        W_dec = one.W_dec[:, None]
        if layer < len(transcoder) - 1:
            W_dec = torch.cat([W_dec, transcoder.above[layer]], 1)
        for file, some in ((circuit_tracer.ENCODER, weights), (circuit_tracer.DECODER, {"W_dec": W_dec})):
            named = {f"{name}_{layer}": w.detach().cpu().contiguous() for name, w in some.items()}
            save_file(named, folder / file.format(layer=layer))
    if density is not None:
        save_file({"sparsity": log_density(density)}, folder / SPARSITY)
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / circuit_tracer.CONFIG).write_text(text, encoding="utf-8")


def read_cross_layer(folder: Path, model: Model, *, check_name: bool = True) -> CrossLayerTranscoder:
    """The one in a folder (`is_cross_layer`), for use with `model`. `check_name` and what is raised as of
    `interp.saes.transcoder_files.read_transcoders`."""
    try:
        return _read(folder, model, check_name)
    except UNREADABLE as error:
        raise InputError(
            f"The cross-layer transcoder in {str(folder)!r} cannot be read ({type(error).__name__}: "
            f"{first_line(error)})."
        ) from None


def _read(folder: Path, model: Model, check_name: bool) -> CrossLayerTranscoder:
    found = _format(folder)
    assert found is not None
    file, kept = found
    n = model.arch.n_layers
    there = [layer for layer in range(n + 1) if (folder / file.format(layer=layer)).is_file()]
    if there != list(range(n)):
        raise InputError(
            f"The cross-layer transcoder in {str(folder)!r} has files of layers {there}, but "
            f"{model.identity.name} has {n} layers, from 0; take one of this model, with all its files."
        )
    config = kept.cross_layer_config(folder, model)
    name = str(config["model_name"])
    if check_name and config.get("unembed_sha256") is None and not same_model(name, model.identity.name):
        raise InputError(
            f"This cross-layer transcoder is for {name!r}, but the model is {model.identity.name!r}; if they "
            "are the same weights, load it with check_name=False."
        )
    check_hooks(config["hook"], config["hook_out"], model, 0)
    layers, above = [], []
    for layer in range(n):
        weights = kept.cross_layer_weights(folder, layer)
        layers.append(_layer(config, weights, model, layer))
        above.append(weights["W_dec"][:, 1:].contiguous())
        if weights["W_dec"].shape[1] != n - layer:
            raise InputError(
                f"The features of layer {layer} in {str(folder)!r} write to {weights['W_dec'].shape[1]} "
                f"layers, not to the {n - layer} from their own on; the folder is damaged."
            )
    whole = CrossLayerTranscoder(tuple(layers), tuple(above[:-1]))
    whole.check_fits(model)
    return whole


def _layer(config: Config, weights: WeightsByName, model: Model, layer: int) -> Transcoder:
    norms = config.get("norms")
    activation: Activation = Standard()
    if config["topk"]:
        activation = TopK(config["k"])
    elif "threshold" in weights:
        activation = JumpReLU(weights["threshold"])
    found = Transcoder(
        W_enc=weights["W_enc"],
        b_enc=weights["b_enc"],
        W_dec=weights["W_dec"][:, 0].contiguous(),
        b_dec=weights["b_dec"],
        W_skip=weights.get("W_skip"),
        activation=activation,
        norm=InputNorm(),
        layer=layer,
        model=str(config["model_name"]),
        revision=config.get("revision"),
        processing=config.get("processing") or "none",
        unembed_sha256=config.get("unembed_sha256"),
    )
    return with_norm(found, config["hook"], model, None if norms is None else norms[layer])
