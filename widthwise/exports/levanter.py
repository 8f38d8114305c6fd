"""A module for levanter: an optimizer's configuration that its YAML names by `type: widthwise`."""

from dataclasses import replace

from widthwise.exports import optax_module
from widthwise.exports.content import Content
from widthwise.exports.python_text import python_module
from widthwise.exports.torch_text import torch_data

_BODY = '''

@OptimizerConfig.register_subclass("widthwise")
@dataclasses.dataclass(frozen=True)
class WidthwiseConfig(OptimizerConfig):
    """The plan's optimizer. learning_rate and weight_decay of the YAML are not used; its schedule is."""

    learning_rate: float = PLAN["base_learning_rate"]
    beta1: float = PLAN["betas"].get("b1", 0.9)
    beta2: float = PLAN["betas"].get("b2", 0.95)
    max_grad_norm: float | None = 1.0

    def build(self, num_train_steps):
        absolute = self.lr_scheduler(num_train_steps)
        found = adamw(lambda step: absolute(step) / self.learning_rate, b1=self.beta1, b2=self.beta2)
        if self.max_grad_norm is None:
            return found
        return optax.chain(optax.clip_by_global_norm(self.max_grad_norm), found)
'''


def write(value: Content) -> str:
    """Return the file."""
    betas = {} if value.betas is None else dict(zip(("b1", "b2"), value.betas, strict=True))
    data = {"betas": betas, "init": torch_data(value)["init"]}
    imports = (
        *("import re", "import dataclasses", "import jax", "import optax"),
        "from levanter.optim import OptimizerConfig",
    )
    return python_module(value, optax_module.BODY + _BODY, data, imports)


EXPORT = replace(
    optax_module.EXPORT,
    name="levanter",
    trainer="levanter (marin-levanter)",
    versions="2026 releases",
    file_name="widthwise_levanter.py",
    write=write,
    use="import the module before levanter reads its YAML, which then has `optimizer: {type: widthwise}`",
    scheduler=(
        "levanter's own schedule, divided by its learning_rate, multiplies each group's rate; min_lr_ratio is relative."
    ),
)
