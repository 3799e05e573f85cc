"""What the pages ask and show, as plain values, without Streamlit."""
