"""Generating text: what a model goes on to say, with edits and without, and what is read in it on the way.

Greedy or drawn; keys and values are kept where that gives what running the whole text gives
(`interp.Model.generate` says how), and the result says where it does not.

When it misleads: the likeliest token each time is not the likeliest text, and one that is drawn is one of
many; after the first token that differs, an edited and an unedited text are no longer the same question, so
compare what is read up to there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from interp.edits import Change, Edit, EditFrom
from interp.methods.generation.readers import Reader
from interp.methods.generation.results import GeneratedText, GenerateResult, Reading
from interp.models.base import Model
from interp.models.generating.generated import Generated
from interp.models.generating.generates import Stop, UseCache
from interp.models.generating.taps import inner
from interp.progress import report
from interp.provenance import Provenance
from interp.sampling import Sample
from interp.tokens import Prompts


def generate(
    model: Model,
    prompts: Prompts,
    n_tokens: int = 20,
    *,
    edits: Sequence[Edit | EditFrom] = (),
    sample: Sample | None = None,
    stop: Stop = "auto",
    read: Sequence[Reader] = (),
    cache: UseCache = "auto",
) -> GenerateResult:
    """Let a model go on from prompts or conversations, edited and, for comparison, unedited.

    Args:
        prompts: one or several, of any lengths: text, ids, or messages ({"role": ..., "content": ...}), which
            the tokenizer's own chat template makes a prompt of.
        n_tokens: how many at most are said.
        edits: an `Edit` with positions acts on those of the prompt, one without on all of the text; an
            `EditFrom` from a position on, or in what is said alone.
        sample: how tokens are drawn; None: the likeliest each time.
        stop: tokens that end a text; "auto": the model's own; (): none.
        read: what is read at every token, such as `lens_reader` and `feature_reader` make.
        cache: whether keys and values are kept; "auto": where it makes no difference.

    Raises:
        InputError: a prompt that cannot be used or is too long to go on from, messages without a chat
            template, a stop token that is none, a reader that does not give what it says.
        SiteError, EditError: a place or an edit that this model does not have, or that has no meaning for
            text that is not there yet.
    """
    tokens = model.to_tokens(prompts)
    sites = [reader.address for reader in read]

    def run(edits: Sequence[Edit | EditFrom]) -> Generated:
        return model.generate(
            tokens, n_tokens, edits=edits, sample=sample, stop=stop, sites=sites, cache=cache
        )

    report("runs", 0, 1 + bool(edits))
    said = run(edits)
    unedited = None
    if edits:
        report("runs", 1, 2)
        unedited = run(())
    report("runs", 1 + bool(edits), 1 + bool(edits))
    return GenerateResult(
        provenance=Provenance.of(model, seed=0 if sample is None else sample.seed),
        texts=_texts(model, said, read),
        unedited=() if unedited is None else _texts(model, unedited, read),
        edits=tuple(map(in_words, edits)),
        chosen=_chosen(sample),
        path=said.path,
        why=said.why,
    )


def _texts(model: Model, said: Generated, read: Sequence[Reader]) -> tuple[GeneratedText, ...]:
    texts = []
    for row, (ids, log_probs) in enumerate(zip(said.said, said.log_probs, strict=True)):
        prompt = said.prompts.row(row)
        texts.append(
            GeneratedText(
                prompt=model.to_text(prompt),
                text=model.to_text(ids[: len(ids) - said.ended[row]], goes_on=True),
                tokens=tuple(model.labels([*prompt, *ids])),
                n_prompt=len(prompt),
                ids=ids,
                log_probs=np.array(log_probs),
                ended=said.ended[row],
                readings=tuple(_reading(reader, said, row) for reader in read),
            )
        )
    return tuple(texts)


def _reading(reader: Reader, said: Generated, row: int) -> Reading:
    at = reader.address
    return Reading(
        what=reader.what,
        site=at.hook,
        unit=reader.unit,
        columns=reader.columns,
        values=reader(said.read(at.site, at.layer, row=row)).numpy(),
    )


# ---- in words ----


def in_words(edit: Edit | EditFrom) -> str:
    """What an edit does, where and from when on."""
    own, value = inner(edit), ""
    if isinstance(own.value, Change):
        change = own.value.to_dict()
        named = ", ".join(map(str, change.get("features", ())))
        what = f"{change.get('op', own.op)} feature {named}".strip()
        value = "" if change.get("value") is None else f" by {_value(change['value'])}"
    else:
        what = own.op.replace("_", " ")
        value = "" if own.value is None else f" by {_value(own.value)}"
    if isinstance(edit, EditFrom):
        where = "in what is said" if edit.start == "generated" else f"from position {edit.start} on"
    else:
        where = "everywhere" if own.address.positions is None else "in the prompt"
    return f"{what}{value} at {own.address}, {where}"


def _value(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a vector of length {float(value.norm()):.4g}" if value.ndim else f"{float(value):.4g}"
    return f"{value:.4g}" if isinstance(value, int | float) else "values of their own"


def _chosen(sample: Sample | None) -> str:
    if sample is None:
        return "the likeliest token each time"
    nucleus = "" if sample.top_p == 1 else f", of the likeliest that have {sample.top_p:g} together"
    return f"drawn at temperature {sample.temperature:g}{nucleus}, seed {sample.seed}"
