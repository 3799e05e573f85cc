"""Jacobian lens: what does an activation make the model say later?

Gurnee et al. 2026, https://transformer-circuits.pub/2026/workspace/index.html

    lens_l(h) = unembed(J_l h)

where J_l is the mean, over prompts and positions p of a text, of the sum over positions p' >= p of
d h_target[p'] / d h_l[p]: how a small change of the stream after layer l comes out at the last layer, there
and at later positions, on average. The logit lens is J_l = I. Row t of W_U J_l is a direction in the stream
of layer l for each token t (`interp.methods.lens.token_directions`).

`interp.fit_jacobian_lens` fits one, `interp.methods.lens.jacobian_files` writes and reads it; here it is what
it is.

When it misleads: it is the mean of a first-order effect, over one kind of text; what an activation does in
this prompt can be another, and large changes are not small ones. Nothing is trained to predict, so that it
can be further from the model's prediction than a tuned lens, or than the logit lens.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp import zoo
from interp.errors import InputError, InterpWarning
from interp.methods.lens.cards import read_card, write_card
from interp.methods.lens.jacobian_files import read_file, read_folder, write_file, write_folder
from interp.methods.lens.lens import EMBEDDING, Lens, layer_names
from interp.methods.lens.results import LensCard
from interp.models.base import Model
from interp.models.hub_files import hub_file
from interp.models.unembedding import check_unembedding, unembed_hashes

#: A lens in one file is of the reference's format.
_IN_ONE_FILE = (".pt", ".pth")


@dataclass(frozen=True, eq=False, kw_only=True)
class JacobianLens(Lens):
    """A matrix J for each source layer: streams after it are read as ``J @ stream``.

    `source_layers` count from 0, `EMBEDDING` (-1) is the embedding. A layer below the target that has no
    matrix is read as it is, and `description` names it; so is the target, and what comes after it.
    """

    name = "jacobian"
    source_layers: tuple[int, ...]
    jacobian: Float[Tensor, "layer d_model d_model"]  # [source layer, out, in], float32 on the CPU
    target_layer: int  # whose stream J leads to; the last layer, unless another was asked for
    n_prompts: int  # that it is the mean of
    #: Standard error of each matrix over prompts, as a share of its norm (Frobenius); None: not recorded.
    error: Float[Tensor, " layer"] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the fit, the text included
    model: str  # the name of the model that it is for; empty: not recorded
    revision: str | None = None
    unembed_sha256: str | None = None  # of the unembedding that it is for; None: not recorded
    card: LensCard | None = None  # how good it is on text, where that was measured

    def __post_init__(self) -> None:
        layers = self.source_layers
        if len(layers) != len(self.jacobian) or list(layers) != sorted(set(layers)):
            raise InputError("A Jacobian lens needs one matrix for each source layer, in their order.")
        if not layers or layers[0] < EMBEDDING or layers[-1] >= self.target_layer:
            raise InputError("The source layers of a Jacobian lens lie below its target layer.")

    @classmethod
    def of_model(cls, model: Model, **fields: Any) -> JacobianLens:
        """A lens for `model`, which names it and its unembedding."""
        return cls(
            model=model.identity.name,
            revision=model.identity.revision,
            unembed_sha256=unembed_hashes(model)["unembed_sha256"],
            **fields,
        )

    @classmethod
    def load(cls, source: str | Path, model: Model, *, check: bool = True) -> JacobianLens:
        """A lens from wherever it is kept, for use with `model`.

        `source` is one of

        - the name of a demo model: the lens that comes with the package;
        - a folder that `save` wrote, or a file of the reference's format, ``lens.pt``;
        - such a file on the Hugging Face hub, ``org/repo:path/to/lens.pt``, as
          "neuronpedia/jacobian-lens:gpt2-small/jlens/Salesforce-wikitext/gpt2_jacobian_lens.pt".

        A file of the reference's format does not record its model: width and layers are compared, and an
        `InterpWarning` says so. With `check` False a lens is taken to be for this unembedding.

        Raises `InputError` where there is no lens, or it is for another model: of another size, unembedding,
        or with weights that were folded.
        """
        place = zoo.path(str(source)) / "jacobian_lens" if source in zoo.NAMES else Path(source)
        if place.is_dir():
            lens = _of_folder(place, model)
        else:
            lens = _of_file(place if place.is_file() else hub_file(str(source), what="Jacobian lens"), model)
        if not check:
            lens = replace(lens, unembed_sha256=unembed_hashes(model)["unembed_sha256"])
        lens.check_fits(model)
        if lens.unembed_sha256 is None:
            warnings.warn(
                f"The lens {str(source)!r} does not record which model it is for: only its width and layers "
                f"were compared with those of {model.identity.name}.",
                InterpWarning,
                stacklevel=2,
            )
        return lens

    def save(self, place: str | Path, *, dtype: torch.dtype = torch.float16) -> None:
        """Write the lens to a new folder; to a path that ends in ``.pt``, as one file of the reference's
        format, which leaves the embedding and all that names the model out.

        Raises `InputError` where there is one already, where the matrices are beyond the range of `dtype`, or
        where the reference's format has no place for it.
        """
        kept = self.jacobian.to(dtype)
        if not torch.isfinite(kept).all():
            raise InputError(f"The matrices are beyond the range of {dtype}; save them as torch.float32.")
        if Path(place).suffix in _IN_ONE_FILE:
            by_layer = dict(zip(self.source_layers, kept, strict=True))
            by_layer.pop(EMBEDDING, None)
            if not by_layer:
                raise InputError("The reference's format has no place for a lens of the embedding alone.")
            write_file(place, by_layer, self.n_prompts)
            return
        config = {
            "base_model_name_or_path": self.model,
            "base_model_revision": self.revision,
            "unembed_sha256": self.unembed_sha256,
            "d_model": self.jacobian.shape[-1],
            "source_layers": list(self.source_layers),
            "target_layer": self.target_layer,
            "n_prompts": self.n_prompts,
            "error": None if self.error is None else [round(float(one), 6) for one in self.error],
            "settings": dict(self.settings),
        }
        names = layer_names(self.source_layers)
        write_folder(place, config, dict(zip(names, kept.clone(), strict=True)))
        write_card(place, self.card)

    @classmethod
    def merge(cls, lenses: Sequence[JacobianLens]) -> JacobianLens:
        """One lens of several that were fitted on different prompts, as on different machines: the mean,
        weighted by their prompts.

        Raises `InputError` where they are for different models, layers or targets.
        """
        if not lenses:
            raise InputError("There is no lens to merge; give one or more.")
        first = lenses[0]
        if any(_what_for(lens) != _what_for(first) for lens in lenses):
            raise InputError("Only lenses of one model, one target and the same layers can be merged.")
        weights = torch.tensor([float(lens.n_prompts) for lens in lenses])
        if not weights.gt(0).all():
            raise InputError("A lens that records no number of prompts has no weight, and cannot be merged.")
        weights = weights / weights.sum()
        jacobian = sum(w * lens.jacobian for w, lens in zip(weights, lenses, strict=True))
        assert isinstance(jacobian, Tensor)
        return replace(
            first,
            jacobian=jacobian,
            n_prompts=sum(lens.n_prompts for lens in lenses),
            error=_merged_error(lenses, weights, jacobian),
            settings={"merged": [dict(lens.settings) for lens in lenses]},
            card=None,
        )

    @property
    def description(self) -> str:
        n, of = self.n_prompts, self.model or "a model that is not named"
        missing = [layer for layer in range(EMBEDDING, self.target_layer) if layer not in self.source_layers]
        plain = f"; without a matrix, and read as they are: {', '.join(layer_names(missing))}"
        return (
            f"the mean Jacobian from each layer to layer {self.target_layer}, over {n} prompts, fitted for "
            f"{of}{plain if missing else ''}"
        )

    def translate(self, resid: Float[Tensor, "*any d_model"], layer: int) -> Float[Tensor, "*any d_model"]:
        if layer not in self.source_layers:
            return resid
        own = self.jacobian[self.source_layers.index(layer)]
        precise = torch.promote_types(resid.dtype, torch.float32)
        return resid.to(precise) @ own.to(resid.device, precise).T

    def check_fits(self, model: Model) -> None:
        width, own = self.jacobian.shape[-1], model.identity
        if width != model.arch.d_model or self.target_layer >= model.arch.n_layers:
            raise InputError(
                f"This lens is for a model of width {width} with {self.target_layer + 1} layers or more "
                f"({self.model or 'not named'}), but {own.name} has {model.arch.n_layers} of width "
                f"{model.arch.d_model}; fit one for it."
            )
        if own.processing != "none":
            raise InputError(
                f"A Jacobian lens is fitted on weights as they are, but those of {own.name} are "
                f"{own.processing}; load it with processing='none'."
            )
        recorded = {"unembed_sha256": self.unembed_sha256}
        check_unembedding(model, recorded, what="lens", made_for=self.model)


def _largest(model: Model) -> float:
    """The bytes of a lens of all layers in float32, and what stands beside the matrices."""
    return 4 * (model.arch.n_layers + 1) * model.arch.d_model**2 + 1e6


def _of_folder(folder: Path, model: Model) -> JacobianLens:
    config, params = read_folder(folder, largest=_largest(model))
    try:
        layers = tuple(config["source_layers"])
        return JacobianLens(
            source_layers=layers,
            jacobian=torch.stack([params[name] for name in layer_names(layers)]),
            target_layer=config["target_layer"],
            n_prompts=config["n_prompts"],
            error=None if config.get("error") is None else torch.tensor(config["error"]),
            settings=config.get("settings") or {},
            model=config.get("base_model_name_or_path") or "",
            revision=config.get("base_model_revision"),
            unembed_sha256=config.get("unembed_sha256"),
            card=read_card(folder),
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"The Jacobian lens in {str(folder)!r} is damaged ({error!r}).") from None


def _of_file(path: Path, model: Model) -> JacobianLens:
    """A lens of the reference's format. It leads to the last layer where it does not say otherwise; one of
    all layers of another depth than the model's is refused."""
    jacobians, about = read_file(path, largest=_largest(model))
    metadata, layers = about["metadata"], sorted(jacobians)
    last = model.arch.n_layers - 1
    target = metadata.get("target_layer")
    target = max(last, layers[-1] + 1) if not isinstance(target, int) else target
    whole = target == last and layers == list(range(layers[-1] + 1))
    if whole and layers[-1] != last - 1 and len(jacobians[0]) == model.arch.d_model:
        raise InputError(
            f"The lens {str(path)!r} has matrices for layers 0 to {layers[-1]}, so it is for a model of "
            f"{layers[-1] + 2} layers, but {model.identity.name} has {last + 1}."
        )
    return JacobianLens(
        source_layers=tuple(layers),
        jacobian=torch.stack([jacobians[layer] for layer in layers]),
        target_layer=target,
        n_prompts=about["n_prompts"],
        settings={"metadata": metadata} if metadata else {},
        model=str(metadata.get("model_name") or ""),
    )


def _what_for(lens: JacobianLens) -> tuple[Any, ...]:
    """What lenses that are merged have in common."""
    shape = tuple(lens.jacobian.shape)
    return lens.source_layers, lens.target_layer, shape, lens.unembed_sha256, lens.settings.get("positions")


def _merged_error(
    lenses: Sequence[JacobianLens],
    weights: Float[Tensor, " lens"],
    merged: Float[Tensor, "layer d_model d_model"],
) -> Float[Tensor, " layer"] | None:
    """The error of a weighted mean of lenses, which are independent of each other."""
    squares = torch.zeros(len(merged))
    for weight, lens in zip(weights, lenses, strict=True):
        if lens.error is None:
            return None
        squares += (weight * lens.error * lens.jacobian.flatten(1).norm(dim=1)) ** 2
    return squares.sqrt() / merged.flatten(1).norm(dim=1)
