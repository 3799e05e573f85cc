"""Tuned lens: a logit lens with a translator for each layer, trained to say what the model will say.

Belrose et al. 2023, https://arxiv.org/abs/2303.08112

The logit lens reads every layer as if it were the last. A tuned lens first passes the residual stream of a
layer through an affine map of its own (a translator), trained to minimise ``KL(final || lens)`` on text, with
the model frozen. The last layer needs none.

`interp.methods.lens.train_tuned_lens` trains one, `interp.methods.lens.measure_lens` says how good it is, and
`interp.methods.lens.files` writes and reads it; here it is used.

When it misleads: a translator is trained to predict, so it may find in a layer what the model does not use
there itself, and it knows only the kind of text that it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.methods.lens.cards import read_card, write_card
from interp.methods.lens.files import LENS_TYPE, read_lens, write_lens
from interp.methods.lens.lens import EMBEDDING, Lens
from interp.methods.lens.results import LensCard
from interp.models.base import Model
from interp.models.unembedding import check_unembedding, unembed_hashes


@dataclass(frozen=True, eq=False, kw_only=True)
class TunedLens(Lens):
    """A translator for each stream but the last layer's: ``stream + stream @ weight.T + bias``.

    Row 0 is for the embedding, row i for the stream after layer i - 1. All zeros are the identity, and the
    lens is then the logit lens.
    """

    name = "tuned"
    weight: Float[Tensor, "layer d_model d_model"]  # [layer, out, in], float32 on the CPU
    bias: Float[Tensor, "layer d_model"]
    model: str  # the name of the model that it is for
    revision: str | None
    unembed_hash: str | None  # of the unembedding that it is for; None: not recorded
    unembed_sha256: str | None
    card: LensCard | None = None  # how good it is on text, where that was measured

    @classmethod
    def identity(cls, model: Model) -> TunedLens:
        """The lens of `model` that changes nothing."""
        n, d, hashes = model.arch.n_layers, model.arch.d_model, unembed_hashes(model)
        return cls(
            weight=torch.zeros(n, d, d),
            bias=torch.zeros(n, d),
            model=model.identity.name,
            revision=model.identity.revision,
            unembed_hash=hashes["unembed_hash"],
            unembed_sha256=hashes["unembed_sha256"],
        )

    @classmethod
    def load(cls, folder: str | Path, model: Model, *, check: bool = True) -> TunedLens:
        """The lens in a folder (`interp.methods.lens.files` says in which layout), for use with `model`.

        Raises `InputError` where there is none, or where it is for another model: of another size or
        unembedding. With `check` False it is taken to be for this unembedding, as for a published lens that
        records none.
        """
        config, weight, bias = read_lens(folder)
        lens = cls(
            weight=weight,
            bias=bias,
            model=str(config.get("base_model_name_or_path", "")),
            revision=config.get("base_model_revision"),
            unembed_hash=config.get("unembed_hash"),
            unembed_sha256=config.get("unembed_sha256"),
            card=read_card(folder),
        )
        if not check:
            own = unembed_hashes(model)
            lens = replace(lens, unembed_hash=own["unembed_hash"], unembed_sha256=own["unembed_sha256"])
        lens.check_fits(model)
        return lens

    def save(self, folder: str | Path, *, pickled: bool = False, dtype: torch.dtype = torch.float32) -> None:
        """Write the lens and its card to a new folder; with `pickled`, so that the tuned-lens library can
        read it too."""
        config = {
            "base_model_name_or_path": self.model,
            "base_model_revision": self.revision,
            "d_model": self.weight.shape[-1],
            "num_hidden_layers": len(self.weight),
            "bias": True,
            "lens_type": LENS_TYPE,
            "unembed_hash": self.unembed_hash,
            "unembed_sha256": self.unembed_sha256,
        }
        write_lens(folder, config, self.weight.to(dtype), self.bias.to(dtype), pickled=pickled)
        write_card(folder, self.card)

    @property
    def description(self) -> str:
        return f"an affine translator for each layer but the last, trained for {self.model}"

    def translate(self, resid: Float[Tensor, "*any d_model"], layer: int) -> Float[Tensor, "*any d_model"]:
        row = layer - EMBEDDING
        if row == len(self.weight):
            return resid
        return resid + resid @ self.weight[row].to(resid).T + self.bias[row].to(resid)

    def check_fits(self, model: Model) -> None:
        n, d = model.arch.n_layers, model.arch.d_model
        if tuple(self.weight.shape) != (n, d, d) or tuple(self.bias.shape) != (n, d):
            raise InputError(
                f"This lens is for a model of {len(self.weight)} layers of width {self.weight.shape[-1]} "
                f"({self.model}), but {model.identity.name} has {n} of width {d}; train one for it."
            )
        recorded = {"unembed_hash": self.unembed_hash, "unembed_sha256": self.unembed_sha256}
        if all(digest is None for digest in recorded.values()):
            raise InputError(
                "This lens does not record which unembedding it is for; if you are sure that it is this "
                "model's, load it with check=False (in a configuration: check_lens: false)."
            )
        check_unembedding(model, recorded, what="lens", made_for=self.model)
