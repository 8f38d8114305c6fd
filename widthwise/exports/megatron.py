"""A module for Megatron-core: the overrides of get_megatron_optimizer, with absolute peak and floor by group."""

from widthwise.exports.content import Content
from widthwise.exports.matcher import Matcher
from widthwise.exports.megatron_rule import flags
from widthwise.exports.python_text import python_module
from widthwise.exports.record import Decay, ExportRecord, Rate

BODY = '''
def config_overrides(min_lr_ratio=0.1):
    """Return what get_megatron_optimizer takes as config_overrides, instead of its standard ones.

    min_lr_ratio: the floor of every group's rate relative to its peak, since Megatron's scheduler takes both from the
    group. Configure the optimizer with lr, weight_decay and adam_eps of PLAN.
    """
    decay = PLAN["weight_decay"]
    return {
        ParamKey(name=tuple(group["patterns"])): {
            "max_lr": group["lr"],
            "min_lr": group["lr"] * min_lr_ratio,
            "wd_mult": group["weight_decay"] / decay if decay else 1.0,
            **({"eps": group["eps"]} if "eps" in group else {}),
        }
        for group in PLAN["groups"]
    }


def check(model_chunks, whole=True):
    """Raise ValueError for a parameter without one group and, unless `whole` is False, for groups that miss some."""
    overrides = config_overrides()
    counts = dict.fromkeys(overrides, 0)
    for chunk in model_chunks:
        for name, parameter in chunk.named_parameters():
            hits = [key for key in overrides if key.matches(parameter, name)]
            if len(hits) != 1:
                raise ValueError(f"{name} has {len(hits)} of the plan's groups")
            counts[hits[0]] += 1
    for group, count in zip(PLAN["groups"], counts.values()):
        if whole and count != group["tensors"]:
            raise ValueError(f"group {group['name']} has {count} of the plan's {group['tensors']} parameters")
'''
IMPORT = "from megatron.core.optimizer.optimizer_config import ParamKey"


def megatron_module(value: Content, body: str, *imports: str) -> str:
    """Return a module with `config_overrides` and `check`, and `body` after them."""
    decay = next((row.weight_decay for row in value.rows if row.weight_decay), 0.0)
    data = {"weight_decay": decay, "flags": flags(value.plan)}
    return python_module(value, BODY + body, data, (IMPORT, *imports))


def write(value: Content) -> str:
    """Return the file."""
    return megatron_module(value, "")


EXPORT = ExportRecord(
    name="megatron",
    trainer="Megatron-core",
    versions=">=0.16,<0.20",
    file_name="widthwise_megatron.py",
    media_type="text/x-python",
    write=write,
    use=(
        "`get_megatron_optimizer(config, chunks, config_overrides=widthwise_megatron.config_overrides())`; "
        "`check(chunks)` before"
    ),
    scheduler=(
        "The scheduler sets each group's rate between its own max_lr and min_lr, and decay to the scheduled one times "
        "wd_mult. The standard overrides (no decay of biases) must not be merged in: two values are an error."
    ),
    rate=Rate.PEAK_AND_FLOOR,
    decay=Decay.MULTIPLIER,
    matcher=Matcher.FNMATCH_MERGED,
    prefixes=("", "module.", "module.module."),
)
