"""Models of every kind with random weights, each with the truth about its parameters written next to it."""
