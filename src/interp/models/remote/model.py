"""`interp.Model` of a model that runs on another machine: what is read and edited there, by requests."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import torch
from nnsight.modeling.transformers import TransformersModel
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interp.edits import Edit
from interp.errors import InputError, InterpError, ModelLoadError, SiteError, first_line
from interp.models.devices import find_dtype
from interp.models.editing import Taps
from interp.models.hugging_face import INSIDE_ATTENTION, HuggingFaceModel
from interp.models.layouts import Layout, embedding_module, find_layout, logits_divisor
from interp.models.plain_sweep import at_row
from interp.models.post_norm import PostNorm
from interp.models.remote.passes import Wanted, pass_of, unembedding_pass
from interp.models.remote.service import Service
from interp.models.self_check import probe
from interp.models.sources import configured
from interp.progress import report
from interp.readout import Readout
from interp.sites import SITES
from interp.tokens import Tokens, bos_id


class RemoteModel(HuggingFaceModel):
    """A causal language model whose modules are here without weights, and run elsewhere.

    Its weights cannot be read, and no gradient comes back: methods that need them say so. Every pass, or
    list of passes that is known at once, is one request (`service.n_requests` counts them).
    """

    backend = "nnsight"
    reach = frozenset(SITES) - INSIDE_ATTENTION
    reads_columns = False

    def __init__(self, served: Any, service: Service, *, layout: Layout, **identity: Any) -> None:
        super().__init__(served._module, layout=layout, **identity)
        self.service = service
        names = {id(module): path for path, module in self.hf_model.named_modules()}
        self._embedding = names[id(embedding_module(self.hf_model, layout))]
        self._head = names[id(self.hf_model.get_output_embeddings())]

    # ---- passes ----

    def _run(self, ids: Tensor, taps: Taps) -> Tensor:
        return self._passes([(ids, taps)], (None, None))[0]

    def _run_to_last_site(self, ids: Tensor, taps: Taps, past: Any | None = None) -> None:
        self._passes([(ids, taps)], None)

    def plain_logits(self, ids: Tensor) -> Tensor:
        return self._run(ids, Taps((), (), (ids.shape[1],) * len(ids)))

    def _passes(self, runs: Sequence[tuple[Tensor, Taps]], logits: Wanted | None) -> list[Any]:
        """Passes, all in one request: what they read goes to their taps, their logits are returned."""
        passes = []
        for ids, taps in runs:
            if type(taps) is not Taps:
                self._refuse("a text that grows, or prompts of several scales of positions, in one pass")
            passes.append(pass_of(self, self._embedding, ids.cpu(), taps, logits=logits))
        found = self.service.send(passes)
        for (_, taps), one, answer in zip(runs, passes, found, strict=True):
            taps.take(dict(zip(one.keys, answer["read"], strict=True)))
        return [answer["logits"] for answer in found]

    def _plain_sweep(
        self, tokens: Tokens, branches: Sequence[Sequence[Edit]], readout: Readout, batch_size: int
    ) -> Tensor:
        """All branches in one request, `batch_size` of them a pass; what comes back are the logits at the
        positions and columns that are read."""
        runs = []
        for start in range(0, len(branches), batch_size):
            chunk = branches[start : start + batch_size]
            edits = [at_row(edit, row) for row, branch in enumerate(chunk) for edit in branch]
            batch = tokens.repeat(len(chunk))
            runs.append((batch.ids, Taps((), edits, batch.lengths)))
        if not runs:
            return torch.empty(0)
        columns = None if readout.columns is None else list(readout.columns)
        with self._lock, torch.no_grad():
            found = self._passes(runs, (list(readout.positions), columns))
        report("branches", len(branches), len(branches))
        return torch.cat([readout.of(logits).cpu() for logits in found])

    def _unembed(self, resid: Tensor, columns: Sequence[int] | None = None) -> Tensor:
        if torch.is_grad_enabled() and resid.requires_grad:
            self._refuse("a gradient")
        one = unembedding_pass(resid.flatten(0, -2), norm=self.layout.final_norm, head=self._head)
        (found,) = self.service.send([one])
        logits = found["logits"] / logits_divisor(self.hf_model)
        cap = self.arch.logit_soft_cap
        logits = logits if cap is None else cap * torch.tanh(logits / cap)
        logits = logits.unflatten(0, resid.shape[:-1]) if resid.ndim > 1 else logits[0]
        return logits if columns is None else logits[..., list(columns)]

    def unembed_in_float32(self, resid: Tensor) -> Tensor:
        """In the precision of the server, which has no other."""
        return self._unembed(resid).float()

    # ---- what there is not ----

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(
            f"A remote model does not give {what}; use a method that runs it with edits (causal tracing, "
            "activation patching, ablation, a lens), or load the model here."
        )

    def _no_weights(self) -> NoReturn:
        raise SiteError(
            f"The weights of {self.identity.name} are on another machine and are not read from it; use a "
            "method that runs the model, such as patching, or load the model here."
        )

    @property
    def W_U(self) -> Tensor:
        self._no_weights()

    @property
    def W_E(self) -> Tensor:
        self._no_weights()

    def W_O(self, layer: int) -> Tensor:
        self._no_weights()

    def b_O(self, layer: int) -> Tensor:
        self._no_weights()

    def W_out(self, layer: int) -> Tensor:
        self._no_weights()

    def b_out(self, layer: int) -> Tensor:
        self._no_weights()

    def post_norm(self, site: str, layer: int) -> PostNorm | None:
        self._no_weights()

    def gradients(self, *_: Any, **__: Any) -> list[Tensor]:
        self._refuse("gradients")

    def layer_gradients(self, *_: Any, **__: Any) -> Tensor:
        self._refuse("gradients")

    def generate(self, *_: Any, **__: Any) -> Any:
        self._refuse("text, of which each token would be a request")

    def stream(self, *_: Any, **__: Any) -> Any:
        self._refuse("text, of which each token would be a request")


def load_remote(
    name: str,
    tokenizer: PreTrainedTokenizerBase | None,
    *,
    remote: bool | str,
    revision: str | None,
    trust_remote_code: bool,
    bos: Any,
    layout: Layout | None,
    dtype: str,
) -> RemoteModel:
    """The model that `name` names, on another machine: configuration and tokenizer are fetched, no weights.

    One request asks the server for its precision, which is the model's; `dtype` other than ``float32`` (the
    default of `interp.load_model`) and ``auto`` must be it. nnsight's simulation takes the one that is asked
    for. Raises `ModelLoadError`.
    """
    source, own = configured(name, tokenizer, revision=revision, trust_remote_code=trust_remote_code)
    options: dict[str, Any] = {"trust_remote_code": True} if trust_remote_code else {}
    if remote == "local":  # of the simulation, which loads weights, the precision can be chosen
        options["dtype"] = find_dtype(dtype, torch.device("cpu"))
    try:
        served = TransformersModel(
            source,
            task="text-generation",
            revision=revision,
            tokenizer=copy.deepcopy(own),  # nnsight changes how it pads
            **options,
        )
    except Exception as error:  # of many kinds
        raise ModelLoadError(
            f"{name!r} could not be built from its configuration ({first_line(error)})."
        ) from error
    service = Service.of(served, name, remote)
    hf_model = served._module.eval()
    model = RemoteModel(
        served,
        service,
        layout=layout or find_layout(hf_model),
        tokenizer=own,
        name=name,
        revision=revision or getattr(hf_model.config, "_commit_hash", None),
        device=torch.device("cpu"),  # where what comes back is
        dtype=hf_model.dtype,
        bos_id=bos_id(own, bos),
    )
    try:
        there = model.plain_logits(probe(model)[:, :1]).dtype
    except InterpError as error:
        raise ModelLoadError(str(error)) from None
    kind = str(there).removeprefix("torch.")
    if dtype not in ("float32", "auto", kind):
        raise ModelLoadError(f"{name} runs in {kind} at {service.where}, not in {dtype}; leave dtype out.")
    model.dtype = there
    model.identity = replace(model.identity, dtype=kind, device=service.where)
    return model
