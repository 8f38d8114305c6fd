"""optax optimizers that train each leaf with a plan's learning rate, epsilon and weight decay."""

from widthwise.optax.initial import init
from widthwise.optax.labels import labels
from widthwise.optax.optimizers import (
    adafactor,
    adam,
    adam_atan2,
    adam_parameter_scaling,
    adamax,
    adamw,
    lion,
    nadam,
    scale_by_adam_atan2,
    sgd,
)

__all__ = [
    "adafactor",
    "adam",
    "adam_atan2",
    "adam_parameter_scaling",
    "adamax",
    "adamw",
    "init",
    "labels",
    "lion",
    "nadam",
    "scale_by_adam_atan2",
    "sgd",
]
