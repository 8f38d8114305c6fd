"""The automatic grid of base learning rates."""


def default_learning_rates(optimizer: str, architecture: str) -> tuple[float, ...]:  # noqa: ARG001
    """Base learning rates in octaves of ½."""
    centre = -1 if optimizer == "sgd" else -8
    return tuple(2.0 ** (centre + step / 2) for step in range(-6, 7))
