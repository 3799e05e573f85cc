"""Widgets, styles and scripts of the pages."""
