"""A module for Megatron-Bridge: the provider of the optimizer's overrides."""

from dataclasses import replace

from widthwise.exports import megatron
from widthwise.exports.content import Content

_BODY = '''

@dataclasses.dataclass
class WidthwiseOverrides(OptimizerConfigOverrideProvider):
    """For ConfigContainer.optimizer_config_override_provider: the plan's overrides alone."""

    min_lr_ratio: float = 0.1

    def build_config_overrides(self, context):
        return config_overrides(self.min_lr_ratio)
'''


def write(value: Content) -> str:
    """Return the file."""
    return megatron.megatron_module(
        value,
        _BODY,
        "import dataclasses",
        "from megatron.bridge.training.config import OptimizerConfigOverrideProvider",
    )


EXPORT = replace(
    megatron.EXPORT,
    name="megatron_bridge",
    trainer="Megatron-Bridge",
    versions=">=0.6,<0.7",
    file_name="widthwise_megatron_bridge.py",
    write=write,
    use="`ConfigContainer(…, optimizer_config_override_provider=widthwise_megatron_bridge.WidthwiseOverrides())`",
)
