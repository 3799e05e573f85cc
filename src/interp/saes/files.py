"""A sparse autoencoder on disk, as SAELens (https://github.com/decoderesearch/SAELens) keeps one. Those of
others are read, too: `interp.saes.published` has a file for each of their formats.

A folder with ``cfg.json``, ``sae_weights.safetensors`` (W_enc, b_enc, W_dec, b_dec, and threshold for
JumpReLU) and, in some, ``sparsity.safetensors`` (`interp.saes.layout`). Two
layouts of ``cfg.json`` are read:

- since version 6: ``architecture``, ``d_in``, ``d_sae``, ``normalize_activations``, ``apply_b_dec_to_input``,
  and under ``metadata`` the ``model_name`` and the ``hook_name``. This is also what is written.
- before: all of these flat, ``hook_point`` in the oldest; the kind by ``architecture`` or by
  ``activation_fn_str``.

As SAELens does, a BatchTopK dictionary (or a Matryoshka one) is written as a JumpReLU with the same threshold
everywhere, and reads back as one; the features are the same. A gated one is read as the JumpReLU that it is
(`interp.saes.gated`). Ours also have ``unembed_sha256`` in the metadata (see
`interp.models.unembedding`), so that they are refused for another model; published ones record no more than a
model's name, which is compared instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from interp.errors import InputError, SiteError, first_line
from interp.models.base import Model
from interp.saes.activations import TopK
from interp.saes.descriptions import read_names
from interp.saes.dictionary import SAE
from interp.saes.gated import without_gates
from interp.saes.layout import CONFIG, kept_activation, read_activation, same_model, write_parts
from interp.saes.processing import is_centred
from interp.saes.published.finding import read_any
from interp.saes.weight_files import UNREADABLE
from interp.sites import SITES, Address

KINDS = ("standard", "topk", "jumprelu", "gated", "batchtopk", "matryoshka_batchtopk")
#: Kinds that SAELens has and that are no sparse sum of one token's own features here, and why.
_REFUSED = {
    "temporal": "its features depend on the tokens before",
    "matching_pursuit": "its features are found one after the other",
    "abstopk": "its features may be below 0",
}
#: Where a transcoder, of this layout or an older one, says to which site it leads.
_OUTPUT_HOOKS = ("hook_name_out", "hook_point_out", "out_hook_point", "d_out")


def check_new(folder: str | Path) -> None:
    """`InputError` where a folder holds an SAE already."""
    if (Path(folder) / CONFIG).exists():
        raise InputError(f"{str(folder)!r} holds an SAE already; choose another folder.")


def write_sae(
    folder: str | Path,
    sae: SAE,
    *,
    density: Float[np.ndarray, " feature"] | None = None,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a dictionary to a new folder, in SAELens's layout since version 6 and in the dtype that it has.

    `density` is the share of tokens at which each feature is active (`SAEQualityResult.density`). `training`
    says how it was made, in JSON values; it is kept in the metadata.

    Raises `InputError` where the folder holds one already, or cannot be written.
    """
    check_new(folder)
    folder = Path(folder)
    kind, thresholds = kept_activation(sae.activation, sae.b_enc)
    weights = {"W_enc": sae.W_enc, "b_enc": sae.b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec, **thresholds}
    config: dict[str, Any] = {
        "d_in": sae.d_in,
        "d_sae": sae.n_features,
        "dtype": str(sae.W_dec.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": sae.apply_b_dec_to_input,
        "normalize_activations": sae.normalise,
        "reshape_activations": "hook_z" if sae.address.site == "z" else "none",
        "architecture": kind,
        "metadata": {
            "sae_lens_version": "6.0.0",  # the layout
            "model_name": sae.model,
            "hook_name": str(sae.address),
            "hook_head_index": None,
            "revision": sae.revision,
            "processing": sae.processing,
            "model_from_pretrained_kwargs": {"center_writing_weights": True} if sae.centred else {},
            "unembed_sha256": sae.unembed_sha256,
            "training": None if training is None else dict(training),
        },
    }
    if isinstance(sae.activation, TopK):
        config |= {"k": sae.activation.k, "rescale_acts_by_decoder_norm": False}
    try:
        write_parts(folder, config, weights, density)
    except OSError as error:
        raise InputError(f"The SAE cannot be written to {str(folder)!r} ({first_line(error)}).") from None


def read_sae(
    folder: str | Path,
    model: Model,
    *,
    scale: float | None = None,
    check_name: bool = True,
    centred: bool | None = None,
    hook_name: str | None = None,
) -> SAE:
    """The dictionary in a folder, for use with `model`: in SAELens's layout, or in those of Gemma Scope,
    sparsify, dictionary_learning or OpenAI (a ``.pt`` file).

    `scale` is the factor by which activations were multiplied in training, needed where the configuration
    says ``expected_average_only_in`` (it is not in the folder), and folded into the weights. With
    `check_name` False the model's name is not compared, as for a model loaded from a folder; site and width
    always are. `centred` says whether it was trained on activations less their mean, as with TransformerLens'
    center_writing_weights on a model of LayerNorms; by default what the folder records
    (`interp.saes.processing`). `hook_name` says where it is for, of a format that does not.

    Raises:
        InputError: no SAE in the folder, one of a kind that is not known, or of another model or width, or
            one that was trained on weights that were processed otherwise.
        SiteError: the model has no such hook point.
    """
    try:
        config, weights = read_any(Path(folder), model, hook_name)
        _check_kind(config, weights)
        sae = _sae(*_in_use(config, weights), scale)
    except UNREADABLE as error:
        raise InputError(
            f"The SAE in {str(folder)!r} cannot be read ({type(error).__name__}: {first_line(error)})."
        ) from None
    own = model.identity.name
    if check_name and sae.unembed_sha256 is None and not same_model(sae.model, own):
        raise InputError(
            f"This SAE is for {sae.model!r}, but the model is {own!r}; if they are the same weights, load it "
            "with check_name=False."
        )
    sae.check_fits(model)
    recorded = is_centred(model, config, sae.address.site)
    return replace(sae, centred=recorded if centred is None else centred, names=read_names(folder))


def _check_kind(config: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    """`InputError` for what is kept in such a folder and is no SAE, or none of the kinds that are known."""
    kind = config.get("architecture", "standard")
    to = next((config[key] for key in _OUTPUT_HOOKS if config.get(key)), None)
    if "transcoder" in kind or to or config.get("is_transcoder") or "W_skip" in weights:
        raise InputError(
            f"This is a transcoder, from {config.get('hook_name')!r} to {to or 'another site'!r}, and no SAE;"
            " interp.load_transcoders reads those of all layers."
        )
    if kind not in KINDS:
        why = f", as {_REFUSED[kind]}" if kind in _REFUSED else ""
        known = f"{', '.join(KINDS[:-1])} and {KINDS[-1]}"
        raise InputError(f"This SAE's architecture {kind!r} is not supported{why}; {known} are.")
    if config.get("hook_head_index") is not None:
        raise InputError("This SAE is for a single head, which is not supported; use one for all heads.")
    if config.get("finetuning_scaling_factor"):
        raise InputError("This SAE has a scaling factor from fine-tuning, which is not supported.")
    if config.get("activation_fn", "relu") not in ("relu", "topk"):
        raise InputError(f"This SAE's activation {config['activation_fn']!r} is not supported.")


def _in_use(
    config: dict[str, Any], weights: dict[str, torch.Tensor]
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """As it is in use: a gated one as a JumpReLU, and so a BatchTopK that was kept as it is in training, with
    one threshold."""
    if config.get("architecture") == "gated" or "r_mag" in weights:
        return {**config, "architecture": "jumprelu"}, without_gates(weights)
    if config.get("architecture") in ("batchtopk", "matryoshka_batchtopk"):
        threshold = torch.full_like(weights["b_enc"], float(weights["topk_threshold"]))
        return {**config, "architecture": "jumprelu"}, {**weights, "threshold": threshold}
    return config, weights


def _sae(config: dict[str, Any], weights: dict[str, torch.Tensor], scale: float | None) -> SAE:
    try:
        address = Address.parse(config["hook_name"])
    except SiteError:
        names = ", ".join(site.hook for site in SITES.values())
        raise SiteError(f"This SAE is for {config['hook_name']!r}, which is no site here: {names}.") from None
    normalise = config["normalize_activations"]
    sae = SAE(
        W_enc=weights["W_enc"],
        b_enc=weights["b_enc"],
        W_dec=weights["W_dec"],
        b_dec=weights["b_dec"],
        activation=read_activation(config.get("architecture", "standard"), config, weights),
        address=address,
        model=config.get("model_name") or "a model that is not named",
        revision=config.get("revision"),
        processing=config.get("processing") or "none",
        unembed_sha256=config.get("unembed_sha256"),
        normalise="none" if normalise == "expected_average_only_in" else normalise,
        apply_b_dec_to_input=config.get("apply_b_dec_to_input", True),
    )
    if (sae.d_in, sae.n_features) != (config["d_in"], config["d_sae"]):
        raise InputError(
            f"The configuration says {config['d_sae']} features of width {config['d_in']}, but the weights "
            f"have {sae.n_features} of width {sae.d_in}; the folder is damaged."
        )
    if config.get("rescale_acts_by_decoder_norm"):
        sae = _unit_decoder(sae)
    if (normalise == "expected_average_only_in") != (scale is not None):
        raise InputError(
            "This SAE was trained on activations multiplied by a factor that is not in its folder; give it "
            "as scale."
            if scale is None
            else f"This SAE has the normalisation {normalise!r}, which takes no scale; leave it out."
        )
    if scale is not None:
        if not scale > 0:
            raise InputError(f"scale is a factor above 0, not {scale!r}.")
        sae = replace(sae, W_enc=sae.W_enc * scale, W_dec=sae.W_dec / scale, b_dec=sae.b_dec / scale)
    return sae


def _unit_decoder(sae: SAE) -> SAE:
    """The same SAE, whose features count in units of decoder length, with directions of length 1. A feature
    whose direction is 0 is dead: it is 0 everywhere."""
    norm = sae.W_dec.norm(dim=-1)
    length = torch.where(norm > 0, norm, 1.0)[:, None]
    return replace(sae, W_enc=sae.W_enc * norm, b_enc=sae.b_enc * norm, W_dec=sae.W_dec / length)
