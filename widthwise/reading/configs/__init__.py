"""Reads a model from its Hugging Face config.json, without the model or torch."""

from widthwise.reading.configs.registry import KINDS, read_config

__all__ = ["KINDS", "read_config"]
