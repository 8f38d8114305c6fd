"""Field types that several resources share: the vocabulary, alignment, numbers by role, names.

Strict throughout: "3" and true are not numbers. Every number is finite, every string and list bounded.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag

from service.http.numbers import Whole
from service.store import LIMIT_MAXIMUM
from widthwise.errors import InvalidInputError
from widthwise.explained import listed
from widthwise.model import MAX_COUNT, MAX_VALUE, MAX_WIDTH
from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import AlignmentName, Form, Optimizer, Parameterization, Role

#: For every model that is read from a request.
REQUEST = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

ParameterizationField = Annotated[
    Parameterization,
    Field(description="How init and multipliers depend on width (Everett et al. 2024, arXiv 2407.05872, Table 1)."),
]


def _known_by_another_name(value: Any) -> Any:
    """Refuse an optimizer's other name with the word to give: InvalidInputError, which is a ValueError."""
    try:
        return Optimizer(value) if isinstance(value, str) else value
    except InvalidInputError:
        raise
    except ValueError:
        return value  # refused by the enumeration, which lists its words


OptimizerField = Annotated[
    Optimizer,
    BeforeValidator(_known_by_another_name),
    Field(
        description="The optimizer that takes the learning rate; it decides how updates scale. "
        + "; ".join(f"`{word.value}`: {record.label}" for word, record in OPTIMIZERS.items())
        + "."
    ),
]
FormField = Annotated[
    Form,
    Field(
        description="Which of muP's published, exactly equivalent forms to use in the answer (Tensor Programs V, "
        "2203.03466). Only `mup` has forms besides the default."
    ),
]
Positive = Annotated[float, Field(gt=0, le=MAX_VALUE)]
NotNegative = Annotated[float, Field(ge=0, le=MAX_VALUE)]
Size = Annotated[int, Whole(1, MAX_WIDTH)]
Tokens = Annotated[int, Whole(1, MAX_COUNT)]
#: A tensor's name ends up in pages, logs and exports, so it has no control characters, NUL included.
Name = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]


def by_role_or_number(value: Any) -> str:
    """Distinguish a number from an object by role, so that a fault is reported against the one that was meant."""
    return "by_role" if isinstance(value, dict) else "number"


PositiveByRole = Annotated[
    dict[Role, Positive],
    Field(min_length=1, max_length=len(Role), description="A number for each role; omitted roles have none."),
]
NumberOrByRole = Annotated[
    Annotated[Positive, Tag("number")] | Annotated[PositiveByRole, Tag("by_role")],
    Discriminator(by_role_or_number),
]

NotNegativeByRole = Annotated[
    dict[Role, NotNegative],
    Field(min_length=1, max_length=len(Role), description="A number for each role; omitted roles have none."),
]
NotNegativeOrByRole = Annotated[
    Annotated[NotNegative, Tag("number")] | Annotated[NotNegativeByRole, Tag("by_role")],
    Discriminator(by_role_or_number),
]

Cursor = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,512}$"),
    Field(description="`next_cursor` of the previous page, unchanged."),
]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAXIMUM, description="Items on a page.")]
Exponent = Annotated[float, Field(ge=0.5, le=1.0)]


class RoleAlignmentBody(BaseModel):
    """Alignment exponents of one role, each from ½ (random) to 1 (aligned)."""

    model_config = REQUEST

    alpha: Exponent = Field(description="Update of the weights with the initial activations, ΔW z.")
    omega: Exponent = Field(description="Initial weights with the change of the activations, W Δz.")
    u: Exponent = Field(description="Update of the weights with the change of the activations, ΔW Δz.")


class MeasuredAlignment(BaseModel):
    """Measured alignment by role (embeddings have none, since their input is fixed)."""

    model_config = REQUEST

    hidden: RoleAlignmentBody
    readout: RoleAlignmentBody


def named_or_measured(value: Any) -> str:
    """Distinguish the name of an alignment from a measured one."""
    return "measured" if isinstance(value, dict | BaseModel) else "named"


AlignmentField = Annotated[
    Annotated[AlignmentName, Tag("named")] | Annotated[MeasuredAlignment, Tag("measured")],
    Discriminator(named_or_measured),
    Field(
        description=f"How updates align with activations, (α, ω, u): {listed(AlignmentName, '`')}; or measured "
        "exponents by role (Everett et al. 2024, section 3)."
    ),
]
ReadoutOmega = Annotated[
    float,
    Field(
        ge=0.5,
        le=1.0,
        description="ω of the readout: ½ is typical of language models (the default), 1 is muP's worst case.",
    ),
]
#: None leaves the alignment its own ω; a number replaces it (`widthwise.theory.alignment.parse`).
OwnOrReplacedOmega = Annotated[
    ReadoutOmega | None,
    Field(description="Replaces the readout's ω; by default ½ for a named alignment, otherwise the measured value."),
]
