"""What a calibration runs next, as pure functions of what came out so far."""
