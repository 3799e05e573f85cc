"""What the pages are made of, in Streamlit: header, inputs, grids, charts, downloads; styles and scripts."""
