"""The pages of the app, a module each: inputs, a question, and the views of its answer."""
