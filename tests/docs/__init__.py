"""The documentation: every code block in it runs, every link leads somewhere, every figure comes from a command."""
