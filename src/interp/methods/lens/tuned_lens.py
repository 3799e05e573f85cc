"""Tuned lens: a logit lens with a translator for each layer, trained to say what the model will say.

Belrose et al. 2023, https://arxiv.org/abs/2303.08112

The logit lens reads every layer as if it were the last. A tuned lens first passes the residual stream of a
layer through an affine map of its own (a translator), trained to minimise ``KL(final || lens)`` on text, with
the model frozen. The last layer needs none.

`interp.methods.lens.train_tuned_lens` trains and measures one, `interp.methods.lens.files` writes and reads
it; here it is used.

When it misleads: a translator is trained to predict, so it may find in a layer what the model does not use
there itself, and it knows only the kind of text that it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError
from interp.methods.lens.files import LENS_TYPE, read_lens, write_lens
from interp.methods.lens.logit_lens import crossover, logit_lens
from interp.models.base import Model
from interp.models.unembedding import unembed_hashes
from interp.provenance import Provenance
from interp.results import Result
from interp.tokens import Prompt


@dataclass(frozen=True, eq=False, kw_only=True)
class TunedLens:
    """A translator for the input of each layer: ``stream + stream @ weight.T + bias``.

    Row 0 is for the embedding, row i for the stream after layer i - 1; the last layer's stream needs none.
    All zeros are the identity, and the lens is then the plain one.
    """

    weight: Float[Tensor, "layer d_model d_model"]  # [layer, out, in], float32 on the CPU
    bias: Float[Tensor, "layer d_model"]
    model: str
    revision: str | None
    unembed_hash: str | None  # of the unembedding that it is for; None: not recorded
    unembed_sha256: str | None

    @classmethod
    def identity(cls, model: Model) -> TunedLens:
        """The lens of `model` that changes nothing."""
        n, d = model.arch.n_layers, model.arch.d_model
        return cls(
            weight=torch.zeros(n, d, d),
            bias=torch.zeros(n, d),
            model=model.identity.name,
            revision=model.identity.revision,
            **unembed_hashes(model),
        )

    @classmethod
    def load(cls, folder: str | Path, model: Model, *, check: bool = True) -> TunedLens:
        """The lens in a folder (`lens_files` says in which layout), for use with `model`.

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
        )
        if not check:
            own = unembed_hashes(model)
            lens = replace(lens, unembed_hash=own["unembed_hash"], unembed_sha256=own["unembed_sha256"])
        lens.check_fits(model)
        return lens

    def save(self, folder: str | Path, *, pickled: bool = False) -> None:
        """Write the lens to a new folder; with `pickled`, so that the tuned-lens library can read it too."""
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
        write_lens(folder, config, self.weight, self.bias, pickled=pickled)

    def check_fits(self, model: Model) -> None:
        """Raise `InputError` where the lens is for another model."""
        n, d = model.arch.n_layers, model.arch.d_model
        if tuple(self.weight.shape) != (n, d, d) or tuple(self.bias.shape) != (n, d):
            raise InputError(
                f"This lens is for a model of {len(self.weight)} layers of width {self.weight.shape[-1]} "
                f"({self.model}), but {model.identity.name} has {n} of width {d}; train one for it."
            )
        own = unembed_hashes(model)
        recorded = {"unembed_hash": self.unembed_hash, "unembed_sha256": self.unembed_sha256}
        compared = [name for name, value in recorded.items() if value is not None]
        if not compared:
            raise InputError(
                "This lens does not record which unembedding it is for; if you are sure that it is this "
                "model's, load it with check=False (in a configuration: check_lens: false)."
            )
        if any(recorded[name] != own[name] for name in compared):
            raise InputError(
                f"This lens is for another unembedding (that of {self.model}) than {model.identity.name} has"
                " here; train one for it. (float16 and folded weights count as another.)"
            )

    def translate(self, states: Float[Tensor, "state pos d_model"]) -> Float[Tensor, "state pos d_model"]:
        """The residual streams as the last layer would write them; `states` are the embedding and each
        layer's."""
        weight, bias = (x.to(states.device, states.dtype) for x in (self.weight, self.bias))
        streams = states[:-1]
        moved = streams + torch.einsum("lpi,loi->lpo", streams, weight) + bias[:, None]
        return torch.cat([moved, states[-1:]])


@dataclass(frozen=True, eq=False, kw_only=True)
class TunedLensResult(Result):
    """What the plain and the tuned lens read off at each layer, at one position of a prompt.

    Arrays are [lens, layer]: first the plain lens, then the tuned one. At the last layer both are the model
    itself.
    """

    kind: ClassVar[str] = "tuned_lens"
    tokens: tuple[str, ...]  # the whole prompt, BOS included
    position: int
    answer: str
    answer_id: int
    lens_model: str  # the model that the lens was trained for
    layers: tuple[str, ...]  # "embed", "0", "1", ...
    answer_prob: Float[np.ndarray, "lens layer"]
    answer_rank: Int[np.ndarray, "lens layer"]  # 1 is top
    entropy: Float[np.ndarray, "lens layer"]  # nats
    kl_to_final: Float[np.ndarray, "lens layer"]  # KL(final || lens), nats
    top_ids: Int[np.ndarray, "lens layer k"]
    top_probs: Float[np.ndarray, "lens layer k"]
    top_tokens: tuple  # texts, nested as top_ids
    final_top_token: str
    final_top_prob: float

    @property
    def crossover_layers(self) -> tuple[int | None, int | None]:
        """By the plain and by the tuned lens: the first layer from which on the answer is top-1 up to the
        last.

        -1 is the embedding; None where the answer is not top-1 at the end.
        """
        plain, tuned = (crossover(rank, self.layers) for rank in self.answer_rank)
        return plain, tuned


def tuned_lens(
    model: Model,
    prompt: Prompt,
    answer: str | int | None = None,
    *,
    lens: TunedLens,
    position: int = -1,
    k: int = 5,
    seed: int = 0,
) -> TunedLensResult:
    """Read a prompt with the plain and with a tuned lens, side by side. Arguments as of `interp.logit_lens`.

    Raises `InputError` where the lens is for another model, and what `interp.logit_lens` raises.
    """
    plain = logit_lens(model, prompt, answer, position=position, k=k, seed=seed)
    tuned = logit_lens(model, prompt, plain.answer_id, position=position, k=k, lens=lens, seed=seed)
    both = (plain, tuned)
    return TunedLensResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=plain.tokens,
        position=plain.positions[0],
        answer=plain.answer,
        answer_id=plain.answer_id,
        lens_model=lens.model,
        layers=plain.layers,
        answer_prob=np.stack([one.answer_prob for one in both]),
        answer_rank=np.stack([one.answer_rank for one in both]),
        entropy=np.stack([one.entropy for one in both]),
        kl_to_final=np.stack([one.kl_to_final for one in both]),
        top_ids=np.stack([one.top_ids for one in both]),
        top_probs=np.stack([one.top_probs for one in both]),
        top_tokens=tuple(one.top_tokens for one in both),
        final_top_token=plain.final_top_token,
        final_top_prob=plain.final_top_prob,
    )
