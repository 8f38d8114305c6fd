"""Measurements: what the pages of docs/results were made by, and what is only printed."""
