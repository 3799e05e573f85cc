"""One module for each page of the app: it asks, and shows a view."""
