"""The script that Streamlit runs: it shows the page that the URL names.

The page is a parameter of the URL and not its path: on another path, Streamlit's browser side first asks for
its server there, and each such request fails in the console.
"""

import streamlit as st

from interp.app.pages import (
    attribution_graph,
    circuit_map,
    contrast,
    explore,
    features,
    generate,
    knowledge,
    patched_lens,
    runs,
    trace,
)
from interp.app.server.session import script_run
from interp.app.ui.header import choose_page

PAGES = {
    "Explore": explore.page,
    "Trace": trace.page,
    "Patch": patched_lens.page,
    "Contrast": contrast.page,
    "Circuit map": circuit_map.page,
    "Features": features.page,
    "Graph": attribution_graph.page,
    "Generate": generate.page,
    "Knowledge": knowledge.page,
    "Runs": runs.page,
}

given = st.query_params.get("page")
st.set_page_config(page_title=f"{given} · interp" if given in PAGES else "interp", layout="wide")
with script_run():
    PAGES[choose_page(tuple(PAGES))]()
