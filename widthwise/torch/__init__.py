"""PyTorch models: read from one forward pass."""

from widthwise.torch.trace import trace

__all__ = ["trace"]
