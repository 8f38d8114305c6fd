"""The tensors of a model: where each stands and how its fans grow."""
