"""One module for each technique: from its result to a view."""
