"""The page Runs: the folders that `interp run` has left, opened in place, and two of them compared."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from interp.app.ui import widgets
from interp.app.views import runs
from interp.figures.engine.notation import count
from interp.runs import Run

_EVERY, _NONE = "all", "no other"
_REPORT = 900  # pixels of height


def page() -> None:
    st.title("Runs")
    out = runs.outputs()
    entries = runs.find_runs(out)
    if not entries:
        st.info(widgets.plain(f"There are no runs in {out.absolute()}. Make one, and open this page again:"))
        st.code("interp demo", language="bash")
        return
    with widgets.sentences():
        _page(out, entries)


def _page(out: Path, entries: list[runs.Entry]) -> None:
    left, right = st.columns(2)
    with left:
        experiment = _filter("Experiment", "of", [entry.experiment for entry in entries])
    with right:
        model = _filter("Model", "by", [entry.model for entry in entries])
    shown = runs.select(entries, experiment=experiment, model=model)
    unfinished = sum(not entry.finished for entry in shown)
    said = f"{count(len(shown), 'run')} in {out.absolute()}, the newest first"
    st.caption(widgets.plain(said + (f"; {unfinished} of them without a result." if unfinished else ".")))
    if not shown:
        st.info("No run is of this experiment and of this model; choose all of one of them.")
        return
    told = {e.name: " · ".join((e.when, e.experiment, e.tag, e.model)) for e in entries}
    names = [entry.name for entry in shown]
    left, right = st.columns(2)
    with left:
        name = _chosen("Run", "run", names, told)
    same = [e.name for e in entries if e.experiment == name.partition("/")[0] and e.name != name]
    rest = [e.name for e in entries if e.name not in same and e.name != name]
    with right:
        other = _chosen("Compared with", "other", [_NONE, *same, *rest], told)
    run = runs.open_run(out, entries, name)
    if other == _NONE:
        _one(run)
    else:
        _two(run, runs.open_run(out, entries, other))


def _filter(label: str, key: str, values: list[str]) -> str:
    """One of the values, kept in the URL; empty for all of them."""
    found = widgets.choice(label, key, [_EVERY, *sorted(set(values) - {""})])
    return "" if found == _EVERY else found


def _chosen(label: str, key: str, names: list[str], told: dict[str, str]) -> str:
    """A run, kept in the URL; where the URL names none of these, that is said and the first one shown.

    The URL leads. It is not bound to the input, as it would then hold what is told of a run, not its name.
    """
    given = st.query_params.get(key, names[0])
    if given not in names:
        st.warning(widgets.plain(f"There is no run {given!r} to choose from; {names[0]!r} is shown."))
    st.session_state[key] = given if given in names else names[0]

    def choose() -> None:
        st.query_params[key] = st.session_state[key]

    def tell(name: str) -> str:
        return told.get(name, name)

    return st.selectbox(label, names, key=key, format_func=tell, on_change=choose)


def _one(run: Run) -> None:
    parts = st.tabs(["Report", "Figure", "Configuration", "Provenance", "Files"])
    with parts[0], widgets.sentences():
        st.iframe(_report(str(run.path), _changed(run)), height=_REPORT)
    with parts[1]:
        _figure(run)
    with parts[2]:
        widgets.show_table(runs.config_table(run))
    with parts[3]:
        widgets.show_table(runs.provenance_table(run))
    with parts[4]:
        for path in runs.files(run):
            size = f"{path.stat().st_size / 1000:,.1f} kB"
            st.download_button(
                widgets.plain(f"{path.name} ({size})"),
                data=path.read_bytes,
                file_name=path.name,
                key=f"file-{path.name}",
                on_click="ignore",
            )


def _two(first: Run, second: Run) -> None:
    differing = runs.config_differences(first, second)
    if differing.rows:
        widgets.show_table(differing)
    else:
        st.caption("Configuration and provenance are the same.")
    with widgets.sentences():
        table = runs.result_differences(first.result, second.result)
        st.markdown(f"**{widgets.plain(runs.verdict(table))}**")
        widgets.show_table(table)
    for part, run in zip(st.columns(2), (first, second), strict=True):
        with part:
            st.caption(widgets.plain(f"{run.experiment.name}/{run.path.name}"))
            _figure(run)


def _figure(run: Run) -> None:
    """The figure that lies in the folder."""
    path = runs.figure(run)
    if path is None:
        st.info("There is no figure in this folder; draw it with: interp show --redraw")
    else:
        st.image(path.read_bytes())


def _changed(run: Run) -> float:
    return (run.path / "result.json").stat().st_mtime


@st.cache_data(max_entries=16, show_spinner=False)
def _report(path: str, changed: float) -> str:
    """The report of the run in a folder, drawn anew where its result has `changed`."""
    from interp.runs import read_run

    return runs.report(read_run(Path(path)))
