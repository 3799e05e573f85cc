"""The app: `interp app` in a browser.

A *question* is a frozen dataclass that is called with a model and gives a typed answer. The *model server*
loads models and answers questions for all sessions, *views* turn answers into grids, tables and charts, and
*pages* ask questions and place the views. Views and the model server do not need Streamlit.
"""
