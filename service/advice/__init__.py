"""Advice: which parameterization, optimizer, alignment and rules to choose, from published and stored evidence."""
