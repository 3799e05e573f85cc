"""The programs that made what the zoo holds: models, cards, measured heads."""
