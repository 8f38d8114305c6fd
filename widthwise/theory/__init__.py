"""The mathematics of how hyperparameters scale with width: readable beside the paper."""
