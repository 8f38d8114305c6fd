"""A plugin for axolotl around the factory for Hugging Face's Trainer."""

from dataclasses import replace

from widthwise.exports import hf_trainer
from widthwise.exports.content import Content
from widthwise.exports.torch_text import torch_module

_PLUGIN = '''

class WidthwisePlugin(BasePlugin):
    """Builds the optimizer from the plan; the rest of axolotl's configuration stays in force."""

    def create_optimizer(self, cfg, trainer):
        return optimizer(trainer.model)
'''


def write(value: Content) -> str:
    """Return the file."""
    return torch_module(value, _PLUGIN, ("from axolotl.integrations.base import BasePlugin",))


EXPORT = replace(
    hf_trainer.EXPORT,
    name="axolotl",
    trainer="axolotl",
    versions=">=0.20,<0.22",
    file_name="widthwise_axolotl.py",
    write=write,
    use="in the YAML `plugins: [widthwise_axolotl.WidthwisePlugin]`, with the file's folder on PYTHONPATH",
    scheduler=(
        "Trainer's schedulers multiply each group's rate. learning_rate, lr_groups, embedding_lr and weight_decay of "
        "the YAML are not used. init_ and multiply_ are yours to call on a model that is trained from scratch."
    ),
)
