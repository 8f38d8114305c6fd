"""What a calibration measures besides the optimum, one module each."""
