"""The words of the field that appear in every interface: roles, parameterizations, optimizers, modes."""

from enum import StrEnum
from typing import TypeVar

from widthwise.errors import InvalidInputError


class Role(StrEnum):
    """What a tensor does for width: which of its two fan axes grow with the model."""

    EMBEDDING = "embedding"  #: fan-in fixed, fan-out grows (token and position tables, first layer)
    HIDDEN = "hidden"  #: fan-in and fan-out are widths of the model
    READOUT = "readout"  #: fan-in grows, fan-out fixed (language-model head, classifier)
    VECTOR = "vector"  #: one growing axis and no fan-in (norm gains, biases)
    SCALAR = "scalar"  #: no growing axis (logit biases, per-head-dim gains, temperatures)


class Parameterization(StrEnum):
    """The four parameterizations of Everett et al. 2024, Table 1."""

    STANDARD = "standard"
    NTK = "ntk"
    MUP = "mup"
    MEAN_FIELD = "mean_field"


class Optimizer(StrEnum):
    """Optimizers whose update size is known as a power of width."""

    SGD = "sgd"
    ADAM = "adam"
    ADAMW = "adamw"
    ADAM_ATAN2 = "adam_atan2"
    ADAFACTOR = "adafactor"
    ADAM_PARAMETER_SCALING = "adam_parameter_scaling"


class WeightDecayMode(StrEnum):
    """How the trainer applies the weight decay λ to a tensor W with learning rate η."""

    DECOUPLED = "decoupled"  #: W ← W − ηλW (AdamW in PyTorch and optax)
    INDEPENDENT = "independent"  #: W ← W − λW (Loshchilov and Hutter's text; decay apart from η)
    COUPLED = "coupled"  #: λW is added to the gradient (L2 regularisation)


class Layout(StrEnum):
    """Axis order of the 2-D tensors that name no fan axes."""

    OUT_IN = "out_in"  #: PyTorch Linear
    IN_OUT = "in_out"  #: JAX and flax kernels, GPT-2's Conv1D


class Form(StrEnum):
    """Which of muP's published, exactly equivalent forms to answer in (Tensor Programs V, 2203.03466)."""

    TABLE_9 = "table_9"  #: √n on the embedding, 1/√n on the readout (also Everett et al. 2024)
    TABLE_8 = "table_8"  #: 1/n multiplier on the readout (the `mup` package)
    TABLE_3 = "table_3"  #: no multipliers, readout init variance 1/n²


Word = TypeVar("Word", bound=StrEnum)


def known_word(kind: type[Word], value: Word | str, name: str) -> Word:
    """The member of a vocabulary; InvalidInputError that lists the words for any other."""
    if type(value) is kind:
        return value
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        raise InvalidInputError(f"{name} is {value!r}; give one of {known}", field=name) from None
