"""What a calibration measures beside the optimum: one module each."""
