"""The server's side of the app: models, the questions that wait for them, and the answers that are kept."""
