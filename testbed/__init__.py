"""Real servers and processes of our own, for the tests and the benchmarks alike."""
