"""The nouns of a calibration: what search, estimate, store and engine share."""
