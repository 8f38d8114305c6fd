"""Forward multipliers of a plan, as hooks on the modules that hold the weights."""

from collections.abc import Collection, Iterator
from typing import Any

from torch import nn

from widthwise.errors import InvalidInputError, UnplacedTensorsError
from widthwise.folding import folded
from widthwise.torch.inputs import Inputs
from widthwise.torch.matched import matched
from widthwise.torch.model_scales import refuse_changed
from widthwise.torch.names import canonical_paths
from widthwise.torch.reach import refuse_unreached
from widthwise.torch.shards import is_sharded
from widthwise.transfers.plan import Plan

#: Modules with one weight that multiplies their input; transformers' Conv1D is one without being a class of PyTorch.
_PRODUCTS = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
_LOOKUPS = (nn.Embedding, nn.EmbeddingBag)


class ScaledInput:
    """A hook that multiplies the input of a module: its bias is added after, unscaled."""

    def __init__(self, multiplier: float) -> None:
        self.multiplier = multiplier

    def __call__(
        self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with the first one, the input, scaled."""
        if args:
            return (args[0] * self.multiplier, *args[1:]), kwargs
        name = next(iter(kwargs))
        return args, {**kwargs, name: kwargs[name] * self.multiplier}


class ScaledOutput:
    """A hook that multiplies the output of a lookup."""

    def __init__(self, multiplier: float) -> None:
        self.multiplier = multiplier

    def __call__(self, _module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        """The output, scaled."""
        return output * self.multiplier


def apply_multipliers(
    model: nn.Module, plan: Plan, inputs: Inputs = None, *, fold: bool = False, done: Collection[str] = ()
) -> Plan:
    """Make the model multiply as its plan says, and return the plan to continue with.

    Hooks multiply what a weight reads (linear, convolution) or looks up (embedding). They are pickled and copied with
    the model, leave names and classes alone, and scale one use of a tied weight without the other. Call it before
    compiling and sharding, on parameters that may still be on the meta device. One forward pass on `inputs`, in the
    mode that the model is in, then looks whether every such module runs and whether anything else reads its weight,
    as a fused loss reads a head's: give what the training step gives, labels too.

    fold: no hooks; the returned plan has each multiplier absorbed into init, learning rate and epsilon
    (`widthwise.folding.folded`). Build groups and draw weights from it.

    done: quantities of `plan.model` that the model's configuration or code already applies, of "attention_scale" and
    "residual_multiplier". What the plan changes there and nobody applies is refused, with what to set.

    Raises InvalidInputError for a model that is compiled or sharded already, or already multiplies; for a forward pass
    that goes around a hook; and if folding has no equivalent form. UnplacedTensorsError lists weights that no single
    module multiplies with: those can be folded.
    """
    refuse_changed(model, plan, inputs, done)
    if fold:
        matched(model, plan)
        return folded(plan)
    wanted = {
        tensor.name: tensor.forward_multiplier.multiplier
        for tensor in plan.tensors
        if tensor.forward_multiplier.multiplier != 1
    }
    if not wanted:
        return plan
    matched(model, plan)
    _refuse_late(model)
    modules = _modules(model, wanted)
    handles = []
    for name, module in modules.items():
        if isinstance(module, _LOOKUPS):
            handles.append(module.register_forward_hook(ScaledOutput(wanted[name])))
        else:
            handles.append(module.register_forward_pre_hook(ScaledInput(wanted[name]), with_kwargs=True))
    try:
        refuse_unreached(model, modules, inputs)
    except BaseException:
        for handle in handles:
            handle.remove()
        raise
    return plan


def multipliers(model: nn.Module) -> dict[str, float]:
    """Return the forward multiplier that hooks apply to each weight, by its name."""
    found = {}
    for path, module in _innermost(model):
        applied = [
            hook.multiplier
            for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
            if isinstance(hook, ScaledInput | ScaledOutput)
        ]
        if applied:
            found[f"{path}.weight".lstrip(".")] = applied[0]
    return found


def _refuse_late(model: nn.Module) -> None:
    for path, module in model.named_modules():
        if "_orig_mod" in module._modules or getattr(module, "_compiled_call_impl", None) is not None:
            raise InvalidInputError(
                f"{path or 'the model'} is compiled already, and hooks that come later are ignored without a word; "
                "call apply_multipliers before torch.compile",
                field="model",
            )
    sharded = next((name for name, parameter in model.named_parameters() if is_sharded(parameter)), None)
    if sharded is not None:
        raise InvalidInputError(
            f"{sharded} is sharded already; call apply_multipliers before fully_shard", field="model"
        )
    if present := multipliers(model):
        raise InvalidInputError(
            f"the model multiplies already: {next(iter(present))!r} has a hook; apply multipliers once", field="model"
        )


def _modules(model: nn.Module, wanted: dict[str, float]) -> dict[str, nn.Module]:
    """The module that multiplies with each weight. Raises UnplacedTensorsError for weights without one."""
    owners = {f"{path}.weight".lstrip("."): module for path, module in _innermost(model)}
    problems = []
    for name, multiplier in wanted.items():
        module = owners.get(name)
        if module is None or not (isinstance(module, (*_PRODUCTS, *_LOOKUPS)) or type(module).__name__ == "Conv1D"):
            problems.append(
                (
                    name,
                    f"its forward multiplier {multiplier:.6g} needs a linear, convolution or embedding module to hook; "
                    "fold=True absorbs it into the weights instead",
                )
            )
    if problems:
        raise UnplacedTensorsError(problems)
    return {name: owners[name] for name in wanted}


def _innermost(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module with a weight, by its path without wrappers."""
    paths = dict(canonical_paths(model))
    for path, module in model.named_modules(remove_duplicate=False):
        if module._parameters.get("weight") is not None:
            yield paths[path], module
