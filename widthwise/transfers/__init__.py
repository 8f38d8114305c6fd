"""From a tuned base to a plan for the target."""
