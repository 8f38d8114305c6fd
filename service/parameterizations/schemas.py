"""Response of GET /v1/parameterizations."""

from pydantic import BaseModel, Field

from widthwise.vocabulary import AlignmentName, Form, Optimizer, Parameterization, Role


class ExponentsBody(BaseModel):
    """Exponents of one role: a quantity is proportional to width^(−exponent)."""

    a: float = Field(description="Forward multiplier.")
    b: float = Field(description="Standard deviation of the init.")
    c: float = Field(description="Largest stable learning rate.")
    g: float = Field(description="RMS of the gradient at init, and therefore Adam's ε.")


class Setting(BaseModel):
    """One parameterization with one optimizer and one alignment."""

    parameterization: Parameterization
    optimizer: Optimizer
    alignment: AlignmentName
    form: Form = Field(description="The form of muP that the numbers are in; the others have one form only.")
    readout_omega: float = Field(description="ω of the readout that the numbers hold for.")
    exponents: dict[Role, ExponentsBody] = Field(description="By role.")


class Parameterizations(BaseModel):
    """Every theoretical exponent."""

    items: list[Setting]
    source: str = Field(description="Where the theory is published.")
