"""What is said of each form of a plan, and how a transfer asks for one."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from widthwise.exports.exporting import find
from widthwise.exports.registry import EXPORTS


def _known(name: str) -> str:
    return find(name).name


ExportName = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(EXPORTS)})]


class ExportChoice(BaseModel):
    """In which form to answer a transfer."""

    model_config = ConfigDict(extra="forbid")

    export: ExportName | None = Field(
        None,
        description="Answer with the file that this trainer reads, instead of the plan; GET /v1/exports lists them.",
    )
    allow_lossy: bool = Field(
        False, description="Also if the form can't carry a value that the plan moves by more than 1 %."
    )


class ExportBody(BaseModel):
    """One form of a plan."""

    name: str = Field(description="What `export` of a transfer takes.")
    trainer: str
    versions: str = Field(description="Of the trainer that the form is for; empty for none.")
    file_name: str
    media_type: str
    carries: dict[str, str] = Field(description="By quantity, whether each group has a value or all have one.")
    learning_rate: str = Field(description="What the trainer takes for a rate, and what its scheduler does to it.")
    weight_decay: str = Field(description="What the trainer takes off a weight W in a step.")
    matcher: str = Field(description="How the trainer finds a parameter's group by its name.")
    optimizers: list[str] = Field(description="The optimizers of the plans that it takes.")
    use: str
    scheduler: str


class ExportList(BaseModel):
    """Every form of a plan."""

    items: list[ExportBody]
