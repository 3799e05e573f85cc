"""The page Runs: the folders that `interp run` has left, opened in place, and two of them compared."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.settings import runs_folder
from interp.app.ui import inputs, show
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.views import comparison, runs
from interp.runs import Run

_ALL, _NO_OTHER = "all", "no other"  # options of the inputs
_REPORT_HEIGHT = 900  # pixels


def page() -> None:
    explain("Runs")
    out = runs_folder()
    found = runs.find_runs(out)
    if not found:
        st.info(
            escape_markdown(f"There are no runs in {out.absolute()}. Make one, and open this page again:")
        )
        st.code("interp demo", language="bash")
        return
    with show_errors():
        _runs(out, found)


def _runs(out: Path, found: list[runs.RunFolder]) -> None:
    left, right = st.columns(2)
    with left:
        experiment = _filter("Experiment", "of", [run.experiment for run in found])
    with right:
        model = _filter("Model", "by", [run.model for run in found])
    selected = runs.select(found, experiment=experiment, model=model)
    st.caption(escape_markdown(runs.in_words(selected, out)))
    if not selected:
        st.info("No run is of this experiment and of this model; choose all of one of them.")
        return
    titles = {run.name: run.title for run in found}
    left, right = st.columns(2)
    with left:
        name = _choose_run("Run", "run", [run.name for run in selected], titles)
    with right:
        others = [_NO_OTHER, *runs.runs_to_compare(found, name)]
        other = _choose_run("Compared with", "other", others, titles)
    run = runs.open_run(out, found, name)
    if other == _NO_OTHER:
        _one_run(run)
    else:
        _two_runs(run, runs.open_run(out, found, other))


def _filter(label: str, key: str, values: list[str]) -> str:
    """One of the values, kept in the URL; empty for all of them."""
    chosen = inputs.select(label, key, [_ALL, *sorted(set(values) - {""})])
    return "" if chosen == _ALL else chosen


def _choose_run(label: str, key: str, names: list[str], titles: dict[str, str]) -> str:
    """A run's name, kept in the URL; where the URL names none of these, that is said and the first one taken.

    The input is not bound to the URL, which would then hold the title of the run and not its name.
    """
    given = st.query_params.get(key, names[0])
    if given not in names:
        st.warning(escape_markdown(f"There is no run {given!r} to choose from; {names[0]!r} is shown."))
    st.session_state[key] = given if given in names else names[0]  # the URL leads

    def update_url() -> None:
        st.query_params[key] = st.session_state[key]

    def title(name: str) -> str:
        return titles.get(name, name)

    return st.selectbox(label, names, key=key, format_func=title, on_change=update_url)


def _one_run(run: Run) -> None:
    tabs = st.tabs(["Report", "Figure", "Configuration", "Provenance", "Files"])
    with tabs[0], show_errors():
        changed = (run.path / "result.json").stat().st_mtime
        show.document(_report(str(run.path), changed), title="Report", height=_REPORT_HEIGHT, key="report")
    with tabs[1], show_errors():
        _figure(run)
    with tabs[2], show_errors():
        show.table(runs.config_table(run))
    with tabs[3], show_errors():
        show.table(runs.provenance_table(run))
    with tabs[4], show_errors():
        for path in runs.files(run):
            size = f"{path.stat().st_size / 1000:,.1f} kB"
            st.download_button(
                escape_markdown(f"{path.name} ({size})"),
                data=path.read_bytes,
                file_name=path.name,
                key=f"file-{path.name}",
                on_click="ignore",
            )


def _two_runs(first: Run, second: Run) -> None:
    with show_errors():
        differences = comparison.config_differences(first, second)
        if differences.rows:
            show.table(differences)
        else:
            st.caption("Configuration and provenance are the same.")
    with show_errors():
        table = comparison.result_differences(first.result, second.result)
        st.markdown(f"**{escape_markdown(comparison.verdict(table))}**")
        show.table(table)
    for place, run in zip(st.columns(2), (first, second), strict=True):
        with place, show_errors():
            st.caption(escape_markdown(f"{run.experiment.name}/{run.path.name}"))
            _figure(run)


def _figure(run: Run) -> None:
    """The figure that lies in the folder."""
    picture = runs.figure(run)
    if picture is None:
        st.info("There is no figure in this folder; draw it with: interp show --redraw")
    else:
        st.image(picture)


@st.cache_data(max_entries=16, show_spinner=False)
def _report(path: str, changed: float) -> str:
    """The report of the run in a folder; drawn again where its result has `changed`."""
    from interp.runs import read_run

    return runs.report(read_run(Path(path), largest=runs.LARGEST_RESULT))
