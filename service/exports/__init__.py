"""The forms that a plan can be written in."""
