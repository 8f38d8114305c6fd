"""Rules: each computes the factors by which one change of the model moves its hyperparameters."""
