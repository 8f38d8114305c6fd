"""A module for torchtitan: its optimizer's configuration, whose groups inherit nothing."""

from widthwise.exports.content import Content
from widthwise.exports.matcher import Matcher
from widthwise.exports.python_text import python_module
from widthwise.exports.record import ExportRecord
from widthwise.exports.torch_text import torch_class

_BODY = '''
def optimizer_config(betas={betas!r}, implementation="fused"):
    """Return torchtitan's configuration of the optimizer, for the `optimizer` of a Trainer.Config.

    Every pattern has to match in each stage of a pipeline: torchtitan refuses those that don't.
    """
    return OptimizersContainer.Config(
        implementation=implementation,
        param_groups=[
            ParamGroupConfig(
                pattern=group["patterns"][0],
                optimizer_name="{name}",
                optimizer_kwargs={{
                    **{{key: group[key] for key in ("lr", "eps", "weight_decay") if key in group}},
                    "betas": betas,
                }},
            )
            for group in PLAN["groups"]
        ],
    )


def check(model):
    """Raise ValueError unless the whole model's parameters are the plan's, group by group."""
    claimed = set()
    for group in PLAN["groups"]:
        names = [n for n, _ in model.named_parameters() if n not in claimed and re.search(group["patterns"][0], n)]
        claimed.update(names)
        if len(names) != group["tensors"]:
            raise ValueError(f"group {{group['name']}} has {{len(names)}} of {{group['tensors']}} parameters")
'''


def write(value: Content) -> str:
    """Return the file."""
    body = _BODY.format(name=torch_class(value), betas=value.betas or (0.9, 0.95))
    imports = ("import re", "from torchtitan.components.optimizer import OptimizersContainer, ParamGroupConfig")
    return python_module(value, body, imports=imports)


EXPORT = ExportRecord(
    name="torchtitan",
    trainer="torchtitan",
    versions=">=0.3,<0.4",
    file_name="widthwise_torchtitan.py",
    media_type="text/x-python",
    write=write,
    use="in your config_registry: `optimizer=widthwise_torchtitan.optimizer_config()`; then `check(model)` once",
    scheduler=(
        "One LambdaLR multiplies each group's rate, and min_lr_factor is relative: nothing overwrites the plan. "
        "Patterns allow for activation checkpointing and compiled blocks."
    ),
    matcher=Matcher.SEARCH_FIRST,
    takes_coupled_decay=True,
    wrapped=True,
)
