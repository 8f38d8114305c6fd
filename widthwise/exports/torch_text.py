"""The part that modules for PyTorch share: groups by canonical names, init in place, multipliers as forward hooks."""

from typing import Any

from widthwise.exports.content import Content, by_value, init_stds
from widthwise.exports.matcher import Matcher, Members, patterns
from widthwise.exports.python_text import python_module
from widthwise.vocabulary import Optimizer

IMPORTS = ("import re", "import torch")

_BODY = '''
_WRAPPERS = frozenset({"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_forward_module"})


def canonical(name):
    """Return a parameter's name without the modules of wrappers."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _find(groups, name):
    """The entry of a list with patterns that a name belongs to; None if there is none."""
    name = canonical(name)
    for seen in (name, name.removeprefix("module.")):
        for group in groups:
            if any(re.fullmatch(pattern, seen) for pattern in group["patterns"]):
                return group
    return None


def param_groups(model, whole=True):
    """Return the optimizer's parameter groups, with absolute learning rates.

    Raises ValueError for a trainable parameter that the plan does not have and, unless `whole` is False (one stage of a
    pipeline), for groups that miss some of theirs; and if the plan has forward multipliers that nobody applies.
    """
    found = {group["name"]: [] for group in PLAN["groups"]}
    unknown = []
    for name, parameter in model.named_parameters():
        group = _find(PLAN["groups"], name)
        if group is not None:
            found[group["name"]].append(parameter)
        elif parameter.requires_grad:
            unknown.append(name)
    if unknown:
        raise ValueError(f"the plan has no values for {len(unknown)} parameters: {', '.join(unknown[:5])}")
    missing = [
        f"{group['name']}: {len(found[group['name']])} of {group['tensors']}"
        for group in PLAN["groups"]
        if len(found[group["name"]]) != group["tensors"]
    ]
    if whole and missing:
        raise ValueError(f"groups without some of the plan's parameters: {'; '.join(missing)}")
    applied = sum(isinstance(hook, Multiply) for m in model.modules() for hook in m._forward_hooks.values())
    if whole and applied != PLAN["multiplied"]:
        raise ValueError(
            f"{applied} of the plan's {PLAN['multiplied']} forward multipliers are applied; call multiply_(model) "
            "once, before torch.compile and before sharding"
        )
    return [
        {
            "params": [parameter for parameter in found[group["name"]] if parameter.requires_grad],
            **{key: value for key, value in group.items() if key not in ("patterns", "tensors")},
        }
        for group in PLAN["groups"]
        if any(parameter.requires_grad for parameter in found[group["name"]])
    ]


def init_(model, generator=None):
    """Draw the plan's matrices again, in place: once, after materialisation and before sharding, never after loading.

    Gains and biases stay as the model made them.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            group = _find(PLAN["init"], name)
            if group is not None:
                parameter.normal_(0.0, group["std"], generator=generator)


class Multiply:
    """A forward hook that multiplies a module's output."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, module, args, output):
        return output * self.factor


def multiply_(model):
    """Apply the plan's forward multipliers, as hooks: once, before torch.compile and before sharding.

    Code that reads a module's weight instead of calling the module does not see them.
    """
    modules = []
    for name, module in model.named_modules(remove_duplicate=False):
        group = _find(PLAN["multipliers"], f"{name}.weight")
        if group is not None:
            if any(isinstance(hook, Multiply) for hook in module._forward_hooks.values()):
                raise ValueError(f"{name} has its multiplier already; call multiply_ once")
            modules.append((module, group["factor"]))
    if len(modules) != PLAN["multiplied"]:
        raise ValueError(f"the model has {len(modules)} of the {PLAN['multiplied']} modules with a forward multiplier")
    for module, factor in modules:
        module.register_forward_hook(Multiply(factor))
'''
_OPTIMIZER = '''

def optimizer(model, **options):
    """Return torch.optim.{name} over the plan's groups. options: betas and what else it takes, apart from rates."""
    options = {{{defaults}, **options}}
    groups = param_groups(model, whole=options.pop("whole", True))
    return torch.optim.{name}(groups, lr=PLAN["base_learning_rate"], **options)
'''


def torch_class(value: Content) -> str | None:
    """Return the class of torch.optim whose update the plan is for; None if PyTorch has none that is certain."""
    if value.optimizer in (Optimizer.ADAM, Optimizer.ADAMW):
        return "Adam" if value.coupled else "AdamW"
    if value.optimizer is Optimizer.SGD:
        return "SGD"
    return None


def torch_module(value: Content, body: str = "", imports: tuple[str, ...] = ()) -> str:
    """Return a module for PyTorch with `param_groups`, `init_`, `multiply_` and `optimizer`, and `body` after them."""
    name = torch_class(value)
    text = _BODY
    if name is not None:
        betas = value.betas if name != "SGD" else None
        text += _OPTIMIZER.format(name=name, defaults="" if betas is None else f'"betas": {betas!r}').replace(
            "{, ", "{"
        )
    return python_module(value, text + body, torch_data(value), (*IMPORTS, *imports))


def torch_data(value: Content) -> dict[str, Any]:
    """Return what PLAN holds besides the groups: deviations of the init, and multipliers by the weight of a module."""
    factors = module_multipliers(value)
    return {
        "init": _found({f"{std}": names for std, names in by_value(init_stds(value.plan)).items()}, "std"),
        "multipliers": _found({f"{factor}": names for factor, names in by_value(factors).items()}, "factor"),
        "multiplied": len(factors),
    }


def module_multipliers(value: Content) -> dict[str, float]:
    """Return the forward multipliers other than 1, by the weight whose module's output they multiply."""
    return {
        tensor.name: tensor.forward_multiplier.multiplier
        for tensor in value.plan.tensors
        if tensor.forward_multiplier.multiplier != 1 and tensor.name.endswith(".weight")
    }


def _found(names: dict[str, list[str]], what: str) -> list[dict[str, Any]]:
    members = [Members(number, each) for number, each in names.items()]
    return [
        {what: float(each.group), "patterns": list(each.patterns)} for each in patterns(members, Matcher.FULLMATCH_ONE)
    ]
