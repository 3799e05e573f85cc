"""EleutherAI's sparsify (https://github.com/EleutherAI/sparsify): TopK dictionaries and transcoders.

A folder named after the module of Hugging Face's whose output they read, such as ``layers.3`` or
``layers.3.mlp``, with ``cfg.json`` and ``sae.safetensors``; in the folder above, ``config.json`` with the
model's name, where the run kept one. b_dec is taken off before, but by a transcoder, which reads the module's
input.
"""

from __future__ import annotations

from pathlib import Path

from interp.errors import InputError
from interp.models.base import Model
from interp.saes.published.modules import MLP_IN, hook_of, the_hook
from interp.saes.weight_files import Config, WeightsByName, read_json, read_safetensors

WEIGHTS, CONFIG, RUN = "sae.safetensors", "cfg.json", "config.json"


def read(folder: Path, model: Model, hook_name: str | None) -> tuple[Config, WeightsByName]:
    """A dictionary or a transcoder, which has ``hook_name_out`` in its configuration."""
    recorded, found = read_json(folder / CONFIG), read_safetensors(folder / WEIGHTS)
    activation = recorded.get("activation", "topk")
    if activation != "topk" or recorded.get("signed"):
        kind = "signed" if recorded.get("signed") else activation
        raise InputError(f"The activation {kind!r} of sparsify is not supported; topk is.")
    transcodes = bool(recorded.get("transcode"))
    hook = the_hook(
        hook_of(folder.name, model), hook_name, what=f"The dictionary of sparsify in {str(folder)!r}"
    )
    run = folder.parent / RUN
    weights = {
        "W_enc": found["encoder.weight"].T,
        "b_enc": found["encoder.bias"],
        "W_dec": found["W_dec"],
        "b_dec": found["b_dec"],
    }
    config: Config = {
        "architecture": "topk",
        "k": recorded["k"],
        "d_in": recorded["d_in"],
        "d_sae": recorded.get("num_latents") or recorded["d_in"] * recorded["expansion_factor"],
        "hook_name": hook,
        "model_name": read_json(run).get("model") if run.is_file() else None,
        "apply_b_dec_to_input": not transcodes,
        "normalize_activations": "none",
    }
    if transcodes:
        config |= {"architecture": "topk_transcoder", "hook_name_out": hook}
        config["hook_name"] = hook.replace("hook_mlp_out", MLP_IN)
    if "W_skip" in found:
        weights["W_skip"] = found["W_skip"]  # [d_out, d_in], as SAELens has it
        config["architecture"] = "topk_skip_transcoder"
    return config, weights
