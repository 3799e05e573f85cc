"""The parts of a view, and what draws them: as a figure, in the terminal, as a page."""
