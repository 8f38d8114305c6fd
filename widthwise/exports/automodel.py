"""YAML for NeMo Automodel: the optimizer's section, with multipliers that its scheduler applies."""

from typing import Any

from widthwise.exports.content import Content
from widthwise.exports.expressed import most_common
from widthwise.exports.matcher import Matcher
from widthwise.exports.record import Carried, Decay, ExportRecord, Rate
from widthwise.exports.torch_text import torch_class
from widthwise.exports.yaml_text import yaml_text


def write(value: Content) -> str:
    """Return the file."""
    decay = next((row.weight_decay for row in value.rows if row.weight_decay), 0.0)
    counted = [row.epsilon for row in value.rows for _ in range(row.tensors) if row.epsilon is not None]
    optimizer: dict[str, Any] = {"_target_": f"torch.optim.{torch_class(value)}", "lr": value.base_rate}
    if counted:
        optimizer["eps"] = most_common(counted)
    if value.betas is not None:
        optimizer["betas"] = list(value.betas)
    optimizer["weight_decay"] = decay
    optimizer["param_group_overrides"] = [
        {
            "pattern": row.patterns[0],
            "lr_mult": row.learning_rate / value.base_rate,
            "wd_mult": row.weight_decay / decay if decay else 1.0,
        }
        for row in value.rows
    ]
    counts = ", ".join(f"{row.name} {row.tensors}" for row in value.rows)
    return yaml_text({"optimizer": optimizer}, [*value.heading(), f"Tensors by group: {counts}."])


EXPORT = ExportRecord(
    name="automodel",
    trainer="NeMo Automodel",
    versions=">=0.7,<0.8",
    file_name="widthwise_automodel.yaml",
    media_type="application/yaml",
    write=write,
    use="put its `optimizer:` section into your recipe's YAML",
    scheduler=(
        "The scheduler sets rate and decay each step to its own times lr_mult and wd_mult, so that min_lr is relative "
        "too. Dion-family optimizers ignore the overrides."
    ),
    carries={"learning_rate": Carried.EACH, "epsilon": Carried.ONCE, "weight_decay": Carried.EACH},
    rate=Rate.MULTIPLIER,
    decay=Decay.MULTIPLIER,
    matcher=Matcher.SEARCH_FIRST,
    takes_coupled_decay=True,
)
