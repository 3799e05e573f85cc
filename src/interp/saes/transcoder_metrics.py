"""How good transcoders are: by themselves, and as a replacement of every MLP at once.

The metrics are those of `interp.saes.metrics`, with what the MLP writes as the activation and what the
transcoder makes of the MLP's input as the reconstruction (of a cross-layer transcoder: with what the features
of the layers below write to this MLP's output). The cross-entropy is measured with one MLP replaced at a time
(the others as they are), and with all of them replaced: each transcoder then reads what those below it have
made of the residual stream, and errors add up. So the second says what a replacement model is worth.

The first position of each sequence and padding are neither counted nor replaced.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.models.base import Cache, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.saes.cross_layer import CrossLayerTranscoder
from interp.saes.metrics import EXCLUDED, counted, cross_entropy, has_next
from interp.saes.results import TranscoderQualityResult
from interp.saes.transcoder import SOURCE, TARGET, Transcoder, Transcoders
from interp.tokens import Prompt, Tokens


def measure_transcoders(
    model: Model,
    transcoders: Transcoders,
    text: Sequence[Prompt],
    *,
    described: str = "the given text",
    losses: Float[np.ndarray, "layer step part"] | None = None,
    loss_names: tuple[str, ...] = (),
    batch_size: int = 16,
    seed: int = 0,
) -> TranscoderQualityResult:
    """Measure `transcoders` on `text`, which training should not have seen.

    `described` says in words what text it is; `losses` of the training and their names are recorded. Raises
    `InputError` for transcoders of another model, or a text without two tokens in a row behind the first
    position.
    """
    transcoders.check_fits(model)
    batches = [model.to_tokens(text[i : i + batch_size]) for i in range(0, len(text), batch_size)]
    if not batches or any(min(batch.lengths) < 3 for batch in batches):
        raise InputError("Each sequence of the text must have three tokens or more; give longer text.")
    means = _mean_outputs(model, batches)
    sums = []
    for done, batch in enumerate(batches):
        sums.append(_sums(model, transcoders, batch, means))
        report("batches", done + 1, len(batches))
    total = {name: torch.stack([one[name] for one in sums]).sum(0) for name in sums[0]}
    n_tokens, n_next = float(total["tokens"]), float(total["next"])
    density = (total["active"] / n_tokens).numpy()
    one = transcoders[0]
    return TranscoderQualityResult(
        provenance=Provenance.of(model, seed=seed),
        text=described,
        excluded=EXCLUDED,
        n_tokens=int(n_tokens),
        transcoders=tuple(one.identity for one in transcoders),
        skip=one.W_skip is not None,
        cross_layer=isinstance(transcoders, CrossLayerTranscoder),
        l0=density.sum(1),
        explained_variance=_explained(total["error"], total["variance"]),
        ce_clean=float(total["clean"]) / n_next,
        ce_layer=(total["layer"] / n_next).numpy(),
        ce_layer_mean=(total["layer_mean"] / n_next).numpy(),
        ce_all=float(total["all"]) / n_next,
        ce_all_mean=float(total["all_mean"]) / n_next,
        density=density,
        losses=losses,
        loss_names=loss_names,
    )


def _explained(error: Float[Tensor, " layer"], variance: Float[Tensor, " layer"]) -> np.ndarray:
    """1 - error / variance; NaN where there is no variance."""
    return torch.where(variance > 0, 1 - error / torch.where(variance > 0, variance, 1.0), torch.nan).numpy()


def _mean_outputs(model: Model, batches: Sequence[Tokens]) -> Float[Tensor, "layer d_model"]:
    """What each MLP writes on average."""
    total, n = torch.zeros(model.arch.n_layers, model.arch.d_model, dtype=torch.float64), 0
    for batch in batches:
        cache, keep = model.run_with_cache(batch, [TARGET], logits=False), counted(batch)
        for layer in range(model.arch.n_layers):
            total[layer] += cache[TARGET, layer].cpu()[keep].double().sum(0)
        n += int(keep.sum())
    return total / n


def _sums(
    model: Model,
    transcoders: Transcoders,
    batch: Tokens,
    means: Float[Tensor, "layer d_model"],
) -> dict[str, Tensor]:
    """What is summed over the tokens of a batch: float64, some with an entry for each layer."""
    keep = counted(batch)
    clean = model.run_with_cache(batch, [SOURCE, TARGET])

    def nats(edits: Sequence[Edit]) -> float:
        return cross_entropy(model.forward(batch, edits), batch, keep)

    error, variance, features, replaced, ablated = [], [], [], [], []
    for layer, one in enumerate(transcoders):
        x, y = clean[SOURCE, layer], clean[TARGET, layer]
        features.append(one.encode(_wide(x, one)))
        written = transcoders.written(layer, features, _wide(x, one))
        error.append((y - written).cpu()[keep].double().square().sum())
        variance.append((y.cpu()[keep].double() - means[layer]).square().sum())
        replaced.append(_in_place(layer, written, y, keep))
        ablated.append(_in_place(layer, means[layer].to(y).expand_as(y), y, keep))
    found = {
        "tokens": keep.sum().double(),
        "next": has_next(keep, batch).sum().double(),
        "error": torch.stack(error),
        "variance": torch.stack(variance),
        "active": torch.stack([(own.cpu()[keep] > 0).double().sum(0) for own in features]),
        "clean": torch.tensor(cross_entropy(clean.logits, batch, keep)),
        "layer": torch.tensor([nats([edit]) for edit in replaced]),
        "layer_mean": torch.tensor([nats([edit]) for edit in ablated]),
        "all": torch.tensor(nats(replacement_edits(model, transcoders, batch, clean, keep))),
        "all_mean": torch.tensor(nats(ablated)),
    }
    return {name: value.double() for name, value in found.items()}


def replacement_edits(
    model: Model,
    transcoders: Transcoders,
    tokens: Tokens,
    clean: Cache,
    keep: Bool[Tensor, "batch pos"],
) -> list[Edit]:
    """The edits that put all transcoders in the place of their MLPs where `keep` says, each reading what
    those below it have made of the stream. One run for each layer but the first."""
    edits: list[Edit] = []
    features: list[Tensor] = []
    for layer, one in enumerate(transcoders):
        cache = model.run_with_cache(tokens, [(SOURCE, layer)], edits, logits=False) if edits else clean
        x = _wide(cache[SOURCE, layer], one)
        features.append(one.encode(x))
        written = transcoders.written(layer, features, x)
        edits.append(_in_place(layer, written, clean[TARGET, layer], keep))
    return edits


def _wide(x: Tensor, one: Transcoder) -> Tensor:
    """Residual streams in no less than the transcoder's own precision."""
    return x.to(torch.promote_types(x.dtype, one.W_dec.dtype))


def _in_place(layer: int, written: Tensor, own: Tensor, keep: Bool[Tensor, "batch pos"]) -> Edit:
    """The edit that sets an MLP's output where `keep` says. Elsewhere it is what it is in the plain run: the
    first position sees no other, and padding is read by none."""
    where = keep.to(own.device)[..., None]
    return Edit.set(TARGET, layer, value=torch.where(where, written.to(own), own))
