"""A module for OLMo-core: its AdamW's configuration with overrides by globs."""

from widthwise.exports.content import Content
from widthwise.exports.matcher import Matcher
from widthwise.exports.python_text import python_module
from widthwise.exports.record import ExportRecord

_BODY = '''
def optim_config(betas={betas!r}, **options):
    """Return OLMo-core's AdamWConfig. A glob that matches no parameter is an error when it is built.

    Epsilon and decay are fixed fields, so that a checkpoint of before does not bring its own.
    """
    base = PLAN["groups"][0]
    return AdamWConfig(
        lr=PLAN["base_learning_rate"],
        betas=betas,
        **({{"eps": base["eps"]}} if "eps" in base else {{}}),
        weight_decay=base["weight_decay"],
        fixed_fields=("initial_lr", "eps", "weight_decay"),
        group_overrides=[
            OptimGroupOverride(
                params=list(group["patterns"]),
                opts={{key: group[key] for key in ("lr", "eps", "weight_decay") if key in group}},
            )
            for group in PLAN["groups"]
        ],
        **options,
    )


def check(optimizer):
    """Raise ValueError unless a built optimizer has the plan's groups, with as many parameters."""
    found = [len(group["params"]) for group in optimizer.param_groups]
    wanted = [group["tensors"] for group in PLAN["groups"]]
    if found != wanted:
        raise ValueError(f"the groups have {{found}} parameters, and the plan's {{wanted}}")
'''


def write(value: Content) -> str:
    """Return the file."""
    body = _BODY.format(betas=value.betas or (0.9, 0.95))
    return python_module(value, body, imports=("from olmo_core.optim import AdamWConfig, OptimGroupOverride",))


EXPORT = ExportRecord(
    name="olmo_core",
    trainer="OLMo-core (ai2-olmo-core)",
    versions=">=3.0,<4",
    file_name="widthwise_olmo.py",
    media_type="text/x-python",
    write=write,
    use="`optim=widthwise_olmo.optim_config()` in the train module's config; `check(optimizer)` when it is built",
    scheduler=(
        "The scheduler multiplies each group's initial_lr; warmup_min_lr has to lie below every group's rate. Muon and "
        "Dion take no overrides."
    ),
    matcher=Matcher.FNMATCH_ONE,
)
