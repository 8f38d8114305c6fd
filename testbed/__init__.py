"""Our own real servers and processes, for tests and benchmarks."""
