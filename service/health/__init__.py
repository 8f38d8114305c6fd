"""Whether the process is alive and can answer."""
