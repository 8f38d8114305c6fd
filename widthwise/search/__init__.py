"""What a calibration runs next, as pure functions of the outcomes so far."""
