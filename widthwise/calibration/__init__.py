"""The nouns of a calibration, which search, estimate, store and engine share."""
