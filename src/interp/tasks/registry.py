"""The tasks by name: where each is made. Light, so that names can be checked before anything is loaded."""

from __future__ import annotations

#: Each task's module and function. A line here is all that a new task needs.
TASKS: dict[str, tuple[str, str]] = {
    "indirect_objects": ("interp.tasks.indirect_objects", "indirect_objects"),
    "role_swaps": ("interp.tasks.indirect_objects", "role_swaps"),
    "facts": ("interp.tasks.facts", "facts"),
    "repeated_tokens": ("interp.tasks.repeated_tokens", "repeated_tokens"),
    "greater_than": ("interp.tasks.greater_than", "greater_than"),
    "user_pairs": ("interp.tasks.user_pairs", "user_pairs"),
}

#: Datasets of prompts with a label each, for probes and directions (`interp.tasks.labelled`).
LABELLED: dict[str, tuple[str, str]] = {
    "people": ("interp.tasks.labelled_people", "labelled_people"),
    "tokens": ("interp.tasks.labelled_tokens", "labelled_tokens"),
    "pairs": ("interp.tasks.labelled_pairs", "labelled_pairs"),
    "sets": ("interp.tasks.labelled_sets", "labelled_sets"),
    "texts": ("interp.tasks.labelled_texts", "labelled_texts"),
}

#: Datasets of what a model was told and what not (`interp.tasks.known_or_not`).
KNOWN: dict[str, tuple[str, str]] = {
    "people": ("interp.tasks.known_people", "known_people"),
    "facts": ("interp.tasks.known_facts", "known_facts"),
    "entities": ("interp.tasks.known_entities", "known_entities"),
    "texts": ("interp.tasks.known_texts", "known_texts"),
}
