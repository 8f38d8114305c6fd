"""A module for any PyTorch loop: groups, an optimizer, the init and the forward multipliers."""

from widthwise.exports.content import Content
from widthwise.exports.record import EACH_OF_ALL, ExportRecord
from widthwise.exports.torch_text import torch_module
from widthwise.vocabulary import Optimizer


def write(value: Content) -> str:
    """Return the file."""
    return torch_module(value)


EXPORT = ExportRecord(
    name="torch",
    trainer="PyTorch",
    versions="2.x",
    file_name="widthwise_torch.py",
    media_type="text/x-python",
    write=write,
    use="`import widthwise_torch as w; w.init_(model); w.multiply_(model); optimizer = w.optimizer(model)`",
    scheduler=(
        "LambdaLR and what is built on it multiply each group's rate; CosineAnnealingLR(eta_min), OneCycleLR and "
        "loops that set one rate overwrite all groups: use relative floors, or widthwise.torch.attach."
    ),
    carries=EACH_OF_ALL,
    optimizers=frozenset(Optimizer),
    takes_coupled_decay=True,
)
