"""A module for optax: one AdamW for each group, by labels of a parameter tree's paths."""

from widthwise.exports.content import Content
from widthwise.exports.matcher import Matcher
from widthwise.exports.python_text import python_module
from widthwise.exports.record import Carried, ExportRecord
from widthwise.exports.torch_text import torch_data

BODY = '''
def path_of(keys):
    """Return a leaf's name as the plan has it: parts of its path with dots, without the `value` of an nnx.Param."""
    return jax.tree_util.keystr(keys, simple=True, separator=".").removesuffix(".value")


def _group_of(groups, name):
    for group in groups:
        if any(re.fullmatch(pattern, seen) for pattern in group["patterns"] for seen in (name, name.replace(".", "/"))):
            return group
    return None


def labels(params):
    """Return the group's name for every leaf of a parameter tree.

    Raises ValueError for a leaf that the plan does not have, and for groups that miss some of theirs.
    """
    counts = {group["name"]: 0 for group in PLAN["groups"]}
    unknown = []

    def label(keys, leaf):
        group = _group_of(PLAN["groups"], path_of(keys))
        if group is None:
            unknown.append(path_of(keys))
            return None
        counts[group["name"]] += 1
        return group["name"]

    found = jax.tree_util.tree_map_with_path(label, params)
    if unknown:
        raise ValueError(f"the plan has no values for {len(unknown)} leaves: {', '.join(unknown[:5])}")
    for group in PLAN["groups"]:
        count = counts[group["name"]]
        if count != group["tensors"]:
            raise ValueError(f"group {group['name']} has {count} of the plan's {group['tensors']} leaves")
    return found


def adamw(schedule=None, **options):
    """Return the plan's optimizer. schedule: by the step, the factor on every group's rate. options: b1, b2, mu_dtype.

    Clip by the global norm outside: optax.chain(optax.clip_by_global_norm(1.0), adamw(schedule)).
    """
    def rate(lr):
        return lr if schedule is None else lambda step: lr * schedule(step)

    options = {**PLAN["betas"], **options}
    return optax.partition(
        {
            group["name"]: optax.adamw(
                rate(group["lr"]),
                weight_decay=group["weight_decay"],
                **({"eps": group["eps"]} if "eps" in group else {}),
                **options,
            )
            for group in PLAN["groups"]
        },
        labels,
    )


def init(params, key):
    """Return the parameters with the plan's matrices drawn again; gains and biases as they are."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    drawn = []
    for each, (keys, leaf) in zip(jax.random.split(key, len(leaves)), leaves):
        group = _group_of(PLAN["init"], path_of(keys))
        drawn.append(leaf if group is None else group["std"] * jax.random.normal(each, leaf.shape, leaf.dtype))
    return jax.tree_util.tree_unflatten(tree, drawn)
'''


def write(value: Content) -> str:
    """Return the file."""
    betas = {} if value.betas is None else dict(zip(("b1", "b2"), value.betas, strict=True))
    data = {"betas": betas, "init": torch_data(value)["init"]}
    return python_module(value, BODY, data, ("import re", "import jax", "import optax"))


EXPORT = ExportRecord(
    name="optax",
    trainer="optax",
    versions=">=0.2.5,<0.3",
    file_name="widthwise_optax.py",
    media_type="text/x-python",
    write=write,
    use="`params = widthwise_optax.init(params, key); tx = widthwise_optax.adamw(schedule)`",
    scheduler="One schedule of factors multiplies each group's rate; clip_by_global_norm belongs outside.",
    carries={
        "learning_rate": Carried.EACH,
        "epsilon": Carried.EACH,
        "weight_decay": Carried.EACH,
        "init_std": Carried.EACH,
    },
    matcher=Matcher.FULLMATCH_ONE,
)
