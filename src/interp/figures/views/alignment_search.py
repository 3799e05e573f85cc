"""What an alignment search shows: how often an exchange does what is wanted, and what else does."""

from __future__ import annotations

from interp.figures.engine.notation import count, decimal, interval, show_text, show_token
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Lines, Series, Table, View, Words
from interp.methods.probing.results import AlignmentSearchResult
from interp.results import Interval

_WAYS = {
    "search": "searched",
    "shuffled": "searched with shuffled values",
    "untrained": "searched in an untrained model",
    "random": "random subspaces",
    "components": "principal components",
}
_VARIABLES = {
    "answer": "which answer it is",
    "order": "which of the two names it is, the first or the second",
}


def view(result: AlignmentSearchResult) -> View:
    """A sentence, the lines over the layers, and their numbers."""
    layer, size = _shown(result)
    blocks: list[Block] = [
        Words(_verdict(result), strong=True, name="verdict"),
        _against_placebos(result, size),
    ]
    if len(result.dims) > 1:
        blocks.append(_by_size(result))
    blocks.append(_table(result, layer))
    return View(
        title=f"Does a subspace hold {_VARIABLES[result.data.variable]}?",
        above=(_data_in_words(result),),
        blocks=tuple(blocks),
        below=(
            "Interchange accuracy: the share of exchanges with another prompt, within the subspace alone, "
            f"after which the wanted token is likeliest of {result.data.answers[1]} that may be answered.",
            "Bands: 95 % intervals over the entities that were tested, none of which was searched with.",
            "Shuffled values: searched with each value dealt to others. Random and principal components: "
            "not searched at all.",
            "That a subspace carries the variable over does not show that the model keeps it nowhere else.",
        ),
    )


figure, table, report = presentation(view)


def _data_in_words(result: AlignmentSearchResult) -> str:
    data = result.data
    base, source, said, wanted = data.example
    left_out = f" {count(len(data.dropped), 'kind')} of prompts left out." if data.dropped else ""
    return (
        f"Clean prompts of {data.name}, read at {data.role}: {data.prompts[0]} of {data.entities[0]} "
        f"entities to search with, {data.prompts[1]} of {data.entities[1]} others to test on "
        f"({data.exchanges[1]} exchanges). "
        f"Such as {show_text(base, max_chars=70)}, which says {show_token(said)}: with the value of "
        f"{show_text(source, max_chars=70)} it is to say {show_token(wanted)}.{left_out}"
    )


def _shown(result: AlignmentSearchResult) -> tuple[int, int]:
    """The layer and size that are shown: where it is furthest ahead of its placebos, if it is told from them
    anywhere; else where it does most, so that what does as well there is seen."""
    return result.best if result.exceeds.any() else result.highest


def _verdict(result: AlignmentSearchResult) -> str:
    layer, size = _shown(result)
    found, whole = result.own.right, result.whole
    k, where = result.dims[size], _where(result.layers[layer])
    value = f"{decimal(found.value[layer, size])} ({_ends(found, (layer, size))})"
    others = {_WAYS[one.way]: one.right.value[layer, size] for one in result.placebos}
    others["nothing exchanged"] = float(result.untouched.value)
    listed = ", ".join(f"{name} {decimal(other)}" for name, other in others.items())
    compared = (
        f"{where}, exchanges within {count(k, 'dimension')} of {result.width} do what is wanted in {value} "
        f"of the cases, of all that is there in {decimal(whole.value[layer])}; {listed}."
    )
    if not result.exceeds.any():
        best = max(others, key=lambda name: float(others[name]))
        ahead = float(others[best]) - float(found.value[layer, size])
        better = "As good" if ahead == 0 else "Better" if ahead > 0 else "Not much less"
        return (
            "No: nowhere is what was searched told from its placebos. Where it does most, "
            f"{compared[0].lower()}{compared[1:]} {better}: {best}."
        )
    if not result.exceeds[layer, size]:
        return f"Not told from the placebos where it is furthest ahead: {compared[0].lower()}{compared[1:]}"
    return f"Yes. {compared} This is where it is furthest ahead of the best placebo, chosen after looking."


def _where(layer: str) -> str:
    return "At the embedding" if layer == "embed" else f"After layer {layer}"


def _ends(of: Interval, cell: tuple[int, ...]) -> str:
    return interval(float(of.low[cell]), float(of.high[cell]))


def _against_placebos(result: AlignmentSearchResult, size: int) -> Lines:
    x = tuple(float(i) for i in range(len(result.layers)))
    series = [_series(_WAYS[one.way], x, one.right[:, size], band=one is result.own) for one in result.ways]
    series.append(_series("all that is there", x, result.whole, band=False))
    return _lines(
        result,
        series,
        name="placebos",
        title=f"{count(result.dims[size], 'dimension')} of {result.width}, and what else would do",
    )


def _by_size(result: AlignmentSearchResult) -> Lines:
    x = tuple(float(i) for i in range(len(result.layers)))
    series = [
        _series(count(k, "dimension"), x, result.own.right[:, i], band=False)
        for i, k in enumerate(result.dims)
    ]
    return _lines(result, series, name="sizes", title="What was searched, by the number of dimensions")


def _lines(result: AlignmentSearchResult, series: list[Series], *, name: str, title: str) -> Lines:
    x = tuple(float(i) for i in range(len(result.layers)))
    return Lines(
        name=name,
        series=tuple(series),
        x_title="layer",
        y_title="interchange accuracy",
        title=title,
        ticks=tuple(zip(x, result.layers, strict=True)),
        levels=((float(result.untouched.value), "nothing exchanged"),),
        y_range=(0.0, 1.0),
    )


def _series(name: str, x: tuple[float, ...], of: Interval, *, band: bool) -> Series:
    ends = {"low": tuple(of.low.tolist()), "high": tuple(of.high.tolist())} if band else {}
    return Series(name, x, tuple(of.value.tolist()), **ends)


def _table(result: AlignmentSearchResult, layer: int) -> Table:
    columns = ["dimensions", "searched", "interval", "when searching"]
    shuffled = next((one for one in result.placebos if one.way == "shuffled"), None)
    columns += [_WAYS[one.way].removeprefix("searched ") for one in result.placebos]
    columns += ["shuffled, on such values"] if shuffled is not None else []
    rows = []
    for i, k in enumerate(result.dims):
        fitted = result.own.fitted
        row = [
            str(k),
            decimal(result.own.right.value[layer, i]),
            _ends(result.own.right, (layer, i)),
            "" if fitted is None else decimal(fitted[layer, i]),
            *(decimal(one.right.value[layer, i]) for one in result.placebos),
        ]
        if shuffled is not None and shuffled.own_labels is not None:
            row.append(decimal(shuffled.own_labels[layer, i]))
        rows.append(tuple(row))
    return Table(
        tuple(columns),
        tuple(rows),
        title=f"{_where(result.layers[layer])} (all that is there: {decimal(result.whole.value[layer])})",
        name="numbers",
    )
