"""The app: `interp app` in a browser. What is shown is made here as plain values; `pages/` only shows it.

A *question* is a frozen dataclass that is called with a model and gives a typed result; the *store* keeps
models and answers for all sessions; views turn a result into grids and tables. None of these needs Streamlit.
"""
