"""PyTorch models: read from one forward pass, and a plan from one to another."""

from widthwise.torch.plan import plan
from widthwise.torch.trace import trace

__all__ = ["plan", "trace"]
