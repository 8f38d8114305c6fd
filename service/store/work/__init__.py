"""The queue of work: calibrations, shards, claims, workers."""
