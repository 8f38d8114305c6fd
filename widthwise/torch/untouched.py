"""Runs a model without a trace: weights, buffers, gradients, random numbers and attributes stay as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from widthwise.torch.activations import random_numbers_of
from widthwise.torch.instance import preserved


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Put back at the end what running a model may change, in place or not; gradients are the caller's to leave alone.

    Buffers change in place (BatchNorm's statistics), attributes by assignment (caches, the training flag).
    """
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    drawn = random.getstate()
    try:
        with preserved(model), random_numbers_of(model):
            yield
    finally:
        random.setstate(drawn)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
