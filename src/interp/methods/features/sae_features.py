"""Which features of an SAE are active in a prompt, token by token, and how much of each activation they give.

When it misleads: a strong feature need not matter for what the model says next; ablate it to see. Strengths
of two features are in the units of their own decoder directions. What the SAE does not reconstruct is in no
feature; `explained` says how much that is.
"""

from __future__ import annotations

import torch

from interp.errors import InputError
from interp.methods.features.results import SAEFeaturesResult
from interp.models.base import Model
from interp.provenance import Provenance
from interp.saes.dictionary import SAE, flat
from interp.saes.metrics import counted
from interp.tokens import Prompt


def sae_features(
    model: Model, sae: SAE, prompt: Prompt, *, top: int = 10, seed: int = 0
) -> SAEFeaturesResult:
    """The `top` strongest features of each token of a prompt; all that are active are counted.

    `seed` is recorded; nothing is drawn. Raises `InputError` for an SAE of another model, a prompt of one
    token, or several prompts; `SiteError` where the model does not have the SAE's site.
    """
    if top < 1:
        raise InputError(f"top must be at least 1; got {top}.")
    sae.check_fits(model)
    tokens = model.to_tokens(prompt).repeat(1)
    if tokens.lengths[0] < 2:
        raise InputError("The first position has no features; give a prompt of two tokens or more.")
    raw = model.run_with_cache(tokens, [sae.address], logits=False)[sae.address]
    x = flat(sae.address.site, raw)[0].float()  # [pos, d_in]
    features = sae.encode(x)  # [pos, feature]
    keep = counted(tokens)[0].to(x.device)
    y, empty = sae.decode(features, x), sae.decode(torch.zeros_like(features), x)
    errors, distances = (x - y).double().square().sum(-1), (x - empty).double().square().sum(-1)
    explained = torch.where(distances > 0, 1 - errors / distances, 1.0)
    cosine = torch.nn.functional.cosine_similarity(x.double(), y.double(), dim=-1)
    values, which = torch.where(keep[:, None], features, 0.0).topk(min(top, sae.n_features), dim=-1)
    return SAEFeaturesResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(tokens.row(0))),
        prompt=model.to_text(tokens.row(0)),
        excluded=tuple((~keep).nonzero().flatten().tolist()),
        sae=sae.naming(which[values > 0].tolist()),
        n_active=((features > 0).sum(-1) * keep).cpu().numpy(),
        features=torch.where(values > 0, which, -1).cpu().numpy(),
        values=values.cpu().numpy(),
        explained=(explained * keep).cpu().numpy(),
        cosine=(cosine * keep).cpu().numpy(),
    )
