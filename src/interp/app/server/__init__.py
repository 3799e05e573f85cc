"""Models, questions waiting for them, and answers kept, for all sessions of the app."""
