"""Which parts a logit or a metric is owed to: direct logit attribution, edge attribution (EAP)."""
