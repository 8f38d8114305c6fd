"""YAML for llm-foundry: Composer's decoupled AdamW, whose decay is not multiplied by the learning rate."""

from typing import Any

from widthwise.exports.content import Content
from widthwise.exports.matcher import Matcher
from widthwise.exports.record import Decay, ExportRecord
from widthwise.exports.yaml_text import yaml_text


def write(value: Content) -> str:
    """Return the file."""
    optimizer: dict[str, Any] = {"name": "decoupled_adamw", "lr": value.base_rate}
    if value.betas is not None:
        optimizer["betas"] = list(value.betas)
    optimizer["param_groups"] = [
        {
            "param_str_match": row.patterns[0],
            "lr": row.learning_rate,
            **({} if row.epsilon is None else {"eps": row.epsilon}),
            "weight_decay": row.weight_decay,
        }
        for row in value.rows
    ]
    counts = ", ".join(f"{row.name} {row.tensors}" for row in value.rows)
    return yaml_text({"optimizer": optimizer}, [*value.heading(), f"Tensors by group: {counts}."])


EXPORT = ExportRecord(
    name="llm_foundry",
    trainer="llm-foundry (Composer)",
    versions="0.22.*",
    file_name="widthwise_llm_foundry.yaml",
    media_type="application/yaml",
    write=write,
    use="put its `optimizer:` section into your training YAML",
    scheduler=(
        "Composer's schedulers multiply each group's rate. decoupled_adamw decays by the schedule alone, not by the "
        "rate, so that the file has η·λ."
    ),
    matcher=Matcher.SEARCH_FIRST,
    decay=Decay.SHARE_OF_PEAK,
    wrapped=True,
)
