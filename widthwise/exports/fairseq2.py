"""YAML for fairseq2: the optimizer's section, with absolute values by group."""

from typing import Any

from widthwise.exports.content import Content
from widthwise.exports.matcher import Matcher
from widthwise.exports.record import ExportRecord
from widthwise.exports.yaml_text import yaml_text


def write(value: Content) -> str:
    """Return the file."""
    groups: list[dict[str, Any]] = [
        {
            "params": row.patterns[0],
            "lr": row.learning_rate,
            **({} if row.epsilon is None else {"eps": row.epsilon}),
            "weight_decay": row.weight_decay,
        }
        for row in value.rows
    ]
    config: dict[str, Any] = {"lr": value.base_rate}
    if value.betas is not None:
        config["betas"] = list(value.betas)
    config["groups"] = groups
    counts = ", ".join(f"{row.name} {row.tensors}" for row in value.rows)
    return yaml_text(
        {"optimizer": {"name": "adamw", "config": config}}, [*value.heading(), f"Tensors by group: {counts}."]
    )


EXPORT = ExportRecord(
    name="fairseq2",
    trainer="fairseq2",
    versions=">=0.8,<0.9",
    file_name="widthwise_fairseq2.yaml",
    media_type="application/yaml",
    write=write,
    use="put its `optimizer:` section into your recipe's YAML",
    scheduler=(
        "The scheduler multiplies each group's rate; start_lr and final_lr are absolute and need an entry for each "
        "group: use final_lr_scale."
    ),
    matcher=Matcher.MATCH_FIRST,
    wrapped=True,
)
