"""Which features of an SAE are active in a prompt, token by token, and how much of each activation they give.

When it misleads: a strong feature need not matter for what the model says next; ablate it to see. Strengths
of two features are in the units of their own decoder directions. What the SAE does not reconstruct is in no
feature; `explained` says how much that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.models.base import Model
from interp.provenance import Provenance
from interp.results import Result
from interp.saes.dictionary import SAE, flat
from interp.saes.metrics import counted
from interp.tokens import Prompt


@dataclass(frozen=True, eq=False, kw_only=True)
class SAEFeaturesResult(Result):
    """The strongest features of each token of a prompt.

    At the positions of `excluded` (the first of the prompt, a BOS or not) the SAE was not trained: what it
    says there means nothing, and no feature is listed.
    """

    kind: ClassVar[str] = "sae_features"
    tokens: tuple[str, ...]  # BOS included
    excluded: tuple[int, ...]
    sae_model: str
    site: str
    activation: str  # standard, topk, batchtopk, jumprelu
    n_features: int
    n_active: Int[np.ndarray, " pos"]  # features above 0; 0 where excluded
    features: Int[np.ndarray, "pos rank"]  # the strongest first; -1 where there are fewer
    values: Float[np.ndarray, "pos rank"]  # 0 where there are fewer
    explained: Float[
        np.ndarray, " pos"
    ]  # 1 - |x - y|^2 / |x - y0|^2; y0: no feature active; 0 where excluded
    cosine: Float[np.ndarray, " pos"]  # of activation x and reconstruction y; 0 where excluded

    @property
    def counted(self) -> list[int]:
        """The positions that are not excluded."""
        return [i for i in range(len(self.tokens)) if i not in self.excluded]

    @property
    def l0(self) -> float:
        """The mean number of active features, of the positions that are not excluded."""
        return float(self.n_active[self.counted].mean())

    def strongest(self, n: int) -> tuple[int, ...]:
        """The `n` features that are strongest at any token, among those listed."""
        highest: dict[int, float] = {}
        for feature, value in zip(self.features.ravel().tolist(), self.values.ravel().tolist(), strict=True):
            if feature >= 0:
                highest[feature] = max(value, highest.get(feature, 0.0))
        return tuple(sorted(highest, key=lambda feature: (-highest[feature], feature))[:n])


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
    raw = model.run_with_cache(tokens, [sae.address])[sae.address]
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
        excluded=tuple((~keep).nonzero().flatten().tolist()),
        sae_model=sae.model,
        site=str(sae.address),
        activation=sae.activation.kind,
        n_features=sae.n_features,
        n_active=((features > 0).sum(-1) * keep).cpu().numpy(),
        features=torch.where(values > 0, which, -1).cpu().numpy(),
        values=values.cpu().numpy(),
        explained=(explained * keep).cpu().numpy(),
        cosine=(cosine * keep).cpu().numpy(),
    )
