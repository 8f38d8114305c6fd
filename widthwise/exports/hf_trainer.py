"""A factory for Hugging Face's Trainer, which calls it with the wrapped model and then keeps off the groups."""

from dataclasses import replace

from widthwise.exports import torch_groups
from widthwise.exports.content import Content
from widthwise.exports.record import ADAM
from widthwise.exports.torch_text import torch_module

FACTORY = '''

class Factory:
    """What Trainer takes as the class of `optimizer_cls_and_kwargs`: it calls Factory()(model, **kwargs)."""

    def __call__(self, model, **kwargs):
        return optimizer(model, **kwargs)
'''


def write(value: Content) -> str:
    """Return the file."""
    return torch_module(value, FACTORY)


EXPORT = replace(
    torch_groups.EXPORT,
    name="hf_trainer",
    trainer="Hugging Face Trainer (transformers)",
    versions=">=5.0,<6",
    file_name="widthwise_hf.py",
    write=write,
    use=(
        "`widthwise_hf.init_(model); widthwise_hf.multiply_(model); "
        "Trainer(model, args, optimizer_cls_and_kwargs=(widthwise_hf.Factory, {}), …)`"
    ),
    scheduler=(
        "Trainer's schedulers multiply each group's rate; absolute ends (cosine_with_min_lr) are taken relative to the "
        "base's rate. learning_rate, weight_decay and adam_epsilon of TrainingArguments are not used."
    ),
    optimizers=ADAM,
)
