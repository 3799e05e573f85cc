"""What each page shows, as plain values, without Streamlit."""
