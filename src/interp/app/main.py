"""The script that Streamlit runs: the list of pages."""

import streamlit as st

from interp.app import page_explore, page_trace

st.set_page_config(page_title="interp", layout="wide")
st.navigation(
    [
        st.Page(page_explore.page, title="Explore", url_path="explore", default=True),
        st.Page(page_trace.page, title="Trace", url_path="trace"),
    ],
    position="top",
).run()
