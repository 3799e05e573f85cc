"""What a lens is: it reads the residual stream after a layer as a prediction of the next token.

    lens.logits(model, resid, layer) = model.unembed(lens.translate(resid, layer))

A lens moves the stream of a layer to where the last layer would have left it; there the model's own final
norm and unembedding read it. The logit lens moves nothing; a tuned lens has a translator for each layer
(`interp.methods.lens.tuned_lens`); a patchscope lets the model's own layers do it
(`interp.methods.lens.patchscope`). Layers count from 0, and `EMBEDDING`, -1, is the stream before the first.

A new kind of lens is a subclass of `Lens` with a name, a description, `translate` and `check_fits`;
`interp.logit_lens`, `interp.contrast` and `interp.measure_lens` then read through it. From a name or a place
to a lens leads `interp.load_lens`.

When it misleads: what a lens reads is what the model would say if nothing came between; a lens that was
trained may also find what the model does not use there itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.methods.lens.results import LensCard
from interp.models.base import Cache, Model, SiteSpec
from interp.models.precise import precise_unembed
from interp.tokens import Prompt, Tokens

EMBEDDING = -1  # the number of the stream before the first layer
STREAMS: tuple[SiteSpec, ...] = (("resid_pre", 0), "resid_post")  # the sites that `residual_streams` needs


class Lens(ABC):
    """A way to read the residual stream after any layer as logits.

    `name` and `description` go into results: what kind of lens it is, in a word, and what it does and which
    model it was made for, as the end of a sentence. `sites` are what it can read: ``resid``, the stream
    itself, and perhaps ``attn_out`` and ``mlp_out``, what one layer's attention or MLP alone adds to it.
    `card` says how good it is on text, where that was measured.
    """

    name: ClassVar[str]
    sites: ClassVar[tuple[str, ...]] = ("resid",)
    card: LensCard | None = None

    @property
    @abstractmethod
    def description(self) -> str:
        """What the lens does to a stream, and for which model it was made."""

    @abstractmethod
    def translate(self, resid: Float[Tensor, "*any d_model"], layer: int) -> Float[Tensor, "*any d_model"]:
        """Streams after `layer` (`EMBEDDING`: before the first) as the last layer would have left them; those
        after the last layer as they are."""

    @abstractmethod
    def check_fits(self, model: Model) -> None:
        """Raise `InputError` where the lens was made for another model."""

    def logits(
        self, model: Model, resid: Float[Tensor, "*any d_model"], layer: int
    ) -> Float[Tensor, "*any d_vocab"]:
        """What `model` would say if the streams after `layer` were read now."""
        return precise_unembed(model, self.translate(resid, layer))

    def logits_of_layers(
        self, model: Model, resid: Float[Tensor, "layer *any d_model"], layers: Sequence[int]
    ) -> Float[Tensor, "layer *any d_vocab"]:
        """`logits`, row by row: one layer for each."""
        return precise_unembed(model, self.translate_layers(resid, layers))

    def translate_layers(
        self, resid: Float[Tensor, "layer *any d_model"], layers: Sequence[int]
    ) -> Float[Tensor, "layer *any d_model"]:
        """`translate`, row by row: one layer for each."""
        return torch.stack([self.translate(own, layer) for own, layer in zip(resid, layers, strict=True)])


@dataclass(frozen=True)  # one equals another
class PlainLens(Lens):
    """The logit lens: every stream is read as if it were the last layer's."""

    name = "logit"
    sites = ("resid", "attn_out", "mlp_out")

    @property
    def description(self) -> str:
        return "the model's own final norm and unembedding"

    def translate(self, resid: Float[Tensor, "*any d_model"], layer: int) -> Float[Tensor, "*any d_model"]:
        return resid

    def check_fits(self, model: Model) -> None:
        """It fits every model."""


def check_site(lens: Lens, site: str) -> None:
    """Raise `InputError` where a lens does not read `site`."""
    if site not in lens.sites:
        raise InputError(
            f"A {lens.name} lens does not read {site!r} but {', '.join(lens.sites)}; use site='resid'."
        )


def residual_streams(cache: Cache) -> Float[Tensor, "layer batch pos d_model"]:
    """The embedding and the stream after each layer, of a run that kept `STREAMS`."""
    return torch.cat([cache["resid_pre", 0][None], cache.stack("resid_post")])


def streams_of_tokens(
    model: Model, text: Tokens | Sequence[Prompt]
) -> tuple[Float[Tensor, "layer token d_model"], Float[Tensor, "token d_vocab"]]:
    """The `residual_streams` and the final logits of all tokens of a batch, padding excluded."""
    cache = model.run_with_cache(text, STREAMS)
    mask = cache.tokens.mask.to(cache.logits.device)
    return residual_streams(cache)[:, mask].float(), cache.logits[mask].float()


def stream_layers(model: Model) -> range:
    """The numbers of the streams that `residual_streams` holds."""
    return range(EMBEDDING, model.arch.n_layers)


def layer_names(layers: Sequence[int]) -> tuple[str, ...]:
    """How results name layers: ``"embed"``, ``"0"``, ``"1"``, ..."""
    return tuple("embed" if layer == EMBEDDING else str(layer) for layer in layers)
