"""What was said: edited beside unedited text, and its tokens coloured by what was read in them."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.axis import Heading
from interp.figures.engine.notation import brief, count, probability, show_prompt, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Block, Grid, Table, View, Words
from interp.methods.generation.results import GeneratedText, GenerateResult, Reading

_MOST = 8  # texts with a map each
_APART = "Once a token differs, what follows is read in another text: compare up to there."


def view(result: GenerateResult) -> View:
    """The texts, and a map of the tokens of each."""
    blocks: list[Block] = [Words(_verdict(result), strong=True, name="verdict"), _texts(result)]
    for i in range(min(len(result.texts), _MOST)):
        both = [result.texts[i]] if not result.unedited else [result.unedited[i], result.texts[i]]
        for which, text in zip(("",) if len(both) == 1 else ("unedited", "edited"), both, strict=True):
            number = f"text {i + 1}" if len(result.texts) > 1 else ""
            blocks += _maps(text, both, f"{which or 'text'}_{i}", ", ".join(filter(None, (number, which))))
    left = len(result.texts) - _MOST
    edits = f" Edits: {'; '.join(result.edits)}." if result.edits else ""
    how = "" if not result.why else f" The whole text was run for each token: {result.why}."
    return View(
        title="What does the model go on to say?",
        above=(f"Chosen: {result.chosen}.{edits}{how}",),
        blocks=tuple(blocks),
        below=(
            *((_APART,) if result.unedited else ()),
            *((f"Of {count(left, 'more text')}, no map is drawn.",) if left > 0 else ()),
        ),
    )


figure, table, report = presentation(view)


def _verdict(result: GenerateResult) -> str:
    if not result.unedited:
        n = [len(text.ids) for text in result.texts]
        ended = sum(text.ended for text in result.texts)
        first = f"{_prompt(result, result.texts[0], 60)} → {_said(result.texts[0], 80)}"
        if len(n) == 1:
            return f"{first} ({count(n[0], 'token')}, {'and it ends there' if ended else 'and it goes on'})."
        return f"{first} ({count(sum(n), 'token')} in all; {ended} of {count(len(n), 'text')} ended)."
    parts = []
    for edited, plain in zip(result.texts, result.unedited, strict=True):
        at = _parting(edited, plain)
        named = _prompt(result, edited, 60)
        if at is None:
            parts.append(f"{named}: the same, edited and not")
        else:
            before, after = (
                brief(text.tokens[text.n_prompt + at]) if at < len(text.ids) else "the end"
                for text in (plain, edited)
            )
            parts.append(f"{named}: {before} becomes {after} at token {at + 1}")
    return "; ".join(parts) + "."


def _parting(a: GeneratedText, b: GeneratedText) -> int | None:
    """The first token that differs; None where none does."""
    n = min(len(a.ids), len(b.ids))
    differs = next((i for i in range(n) if a.ids[i] != b.ids[i]), None)
    return n if differs is None and len(a.ids) != len(b.ids) else differs


def _prompt(result: GenerateResult, text: GeneratedText, max_chars: int) -> str:
    tokens = text.tokens[: text.n_prompt]
    return show_prompt(tokens, text.prompt, bos=result.provenance.bos, max_chars=max_chars)


def _said(text: GeneratedText, max_chars: int | None = None) -> str:
    end = f" [{brief(text.tokens[-1])}]" if text.ended else ""
    return f"{show_text(text.text, max_chars=max_chars)}{end}"


def _texts(result: GenerateResult) -> Table:
    """What follows each prompt; edited below unedited."""
    rows: list[tuple[str | float, ...]] = []
    for i, text in enumerate(result.texts):
        prompt = _prompt(result, text, 80)
        if result.unedited:
            rows.append((prompt, "unedited", _said(result.unedited[i]), _mean(result.unedited[i])))
            rows.append(("", "edited", _said(text), _mean(text)))
        else:
            rows.append((prompt, "", _said(text), _mean(text)))
    columns = ("after", "", "goes on", "log p a token")
    return Table(columns, tuple(rows), title="What is said", name="texts")


def _mean(text: GeneratedText) -> float:
    return float(text.log_probs.mean()) if len(text.log_probs) else 0.0


def _maps(text: GeneratedText, both: list[GeneratedText], name: str, which: str) -> list[Block]:
    """All tokens by what was read in them, on one scale for `both` texts, edited and not; without a reading,
    those that were said by their probability."""
    if text.readings:
        of_both = [[one.readings[i].values for one in both] for i in range(len(text.readings))]
        return [
            _reading(
                text, one, max(float(np.abs(values).max()) for values in of_both[i]), f"{name}_{i}", which
            )
            for i, one in enumerate(text.readings)
        ]
    said = text.tokens[text.n_prompt :]
    p = np.exp(text.log_probs)[None]
    return [
        Grid(
            name=f"{name}_probability",
            values=p,
            rows=Axis.names("", ["p"]),
            columns=Axis.tokens(said, title="token"),
            unit="probability",
            title="Probability of each token that was said" + (f": {which}" if which else ""),
            centre=None,
            limit=1.0,
            hover=(("probability", np.array([[probability(v) for v in p[0].tolist()]], dtype=object)),),
            above="as it was predicted",
            down=True,
        )
    ]


def _reading(text: GeneratedText, reading: Reading, limit: float, name: str, which: str) -> Grid:
    values = reading.values.T  # [value, pos]
    signed = bool((values < -1e-9).any())
    strong = {"probability": "likelier as the next token", "activation": "more active"}
    headings = [Heading(token, strong=i >= text.n_prompt) for i, token in enumerate(text.tokens)]
    what = show_text(reading.what)
    of = f": {which}" if which else ""
    return Grid(
        name=name,
        values=values,
        rows=Axis.names("", reading.columns),
        columns=Axis("position", tuple(headings)),
        unit=reading.unit,
        title=f"{what[0].upper()}{what[1:]}, at {reading.site}{of} (said: in bold)",
        centre=0.0 if signed else None,
        limit=1.0 if reading.unit == "probability" else limit or None,
        above=strong.get(reading.unit, f"more {reading.unit}"),
        below=f"less {reading.unit}" if signed else "",
        down=True,
    )
