"""Dictionaries as others publish them: one file a format, each read into the terms of SAELens's layout."""
