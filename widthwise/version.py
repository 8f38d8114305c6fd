"""The version, defined only here: pyproject.toml reads it, and a checkout that is not installed has it too."""

VERSION = "0.1.0"
