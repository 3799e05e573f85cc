"""Whole analyses made of several methods: indirect object identification (IOI)."""
