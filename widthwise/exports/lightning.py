"""A module for Lightning: what `configure_optimizers` returns."""

from dataclasses import replace

from widthwise.exports import torch_groups
from widthwise.exports.content import Content
from widthwise.exports.record import ADAM
from widthwise.exports.torch_text import torch_module

_CONFIGURE = '''

def configure_optimizers(model, schedule=None, **options):
    """Return what LightningModule.configure_optimizers returns.

    model: the network whose parameters the plan names, such as self.model. schedule: by the step, the factor on every
    group's rate.
    """
    built = optimizer(model, **options)
    if schedule is None:
        return built
    scheduler = torch.optim.lr_scheduler.LambdaLR(built, schedule)
    return {"optimizer": built, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
'''


def write(value: Content) -> str:
    """Return the file."""
    return torch_module(value, _CONFIGURE)


EXPORT = replace(
    torch_groups.EXPORT,
    name="lightning",
    trainer="Lightning",
    versions=">=2.4,<3",
    file_name="widthwise_lightning.py",
    write=write,
    use="`def configure_optimizers(self): return widthwise_lightning.configure_optimizers(self.model, schedule)`",
    scheduler=(
        "Lightning steps the scheduler that it is given: a LambdaLR multiplies each group's rate. Groups have unique "
        "names, as LearningRateMonitor needs. LightningCLI's own optimizer builds one group only."
    ),
    optimizers=ADAM,
)
