"""The script that Streamlit runs: it shows the page that the URL names.

The page is a parameter of the URL and not its path: on another path, Streamlit's browser side first asks for
its server there, and each such request fails in the console.
"""

import streamlit as st

from interp.app.pages import circuit_map as page_circuit_map
from interp.app.pages import contrast as page_contrast
from interp.app.pages import explore as page_explore
from interp.app.pages import features as page_features
from interp.app.pages import runs as page_runs
from interp.app.pages import trace as page_trace
from interp.app.ui import widgets

PAGES = {
    "Explore": page_explore.page,
    "Trace": page_trace.page,
    "Contrast": page_contrast.page,
    "Circuit map": page_circuit_map.page,
    "Features": page_features.page,
    "Runs": page_runs.page,
}

st.set_page_config(page_title="interp", layout="wide")
PAGES[widgets.page_choice(tuple(PAGES))]()
