"""What methods share: pairs, components and their names, the graph of a model, statistics."""
