"""Techniques, one file each: functions of a model and prompts that return typed results."""
