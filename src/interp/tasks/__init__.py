"""Prompts with known answers, in pairs that differ in what the answer depends on. One file a task."""
