"""Users' own sweeps."""
