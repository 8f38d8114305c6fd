"""The mathematics of how hyperparameters scale with width, written to be read next to the paper."""
