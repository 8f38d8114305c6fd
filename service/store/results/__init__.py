"""What was measured: trials, measurements, exponents; and the API keys."""
