"""The plan from one PyTorch model to another."""

from collections.abc import Mapping, Sequence

from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.model import Base, Target
from widthwise.rules.exponents import Exponents
from widthwise.tensors.multipliers import ComputedMultiplier
from widthwise.theory.alignment import AlignmentLike, Number
from widthwise.torch.inputs import Inputs
from widthwise.torch.trace import trace
from widthwise.transfers.plan import Plan
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import Form, Optimizer, Parameterization, Role, WeightDecayMode


def plan(
    base_model: nn.Module,
    target_model: nn.Module,
    inputs: Inputs = None,
    *,
    parameterization: Parameterization | str,
    optimizer: Optimizer | str,
    base: Base,
    target: Target | None = None,
    target_inputs: Inputs = None,
    roles: Mapping[str, Role | str] | None = None,
    code_multipliers: Sequence[ComputedMultiplier] = (),
    alignment: AlignmentLike = "full",
    exponents: Exponents | None = None,
    weight_decay_mode: WeightDecayMode | str | None = None,
    form: Form | str = Form.TABLE_9,
    readout_omega: Number | None = None,
) -> Plan:
    """Return every hyperparameter of the target, for the parameters that both models are traced to have.

    base_model, target_model: of any size, on any device; build a large one under `torch.device("meta")`, where it takes
    no memory. Both stay as they were. inputs: what the forward pass takes, as `trace` reads it; target_inputs: the
    same for the target, if its inputs have other shapes. base: the tuned hyperparameters; the models tell the sizes.
    target: sizes that no model tells (batch_tokens, tokens). roles: by a pattern of names (`*`, `?`), the role that
    settles what a trace leaves open. code_multipliers: replace what the traces found that the models' code multiplies
    by. The other words are those of `widthwise.transfer`.

    A tied weight stands twice in `plan.tensors`; `named_parameters()` lists the one whose `tied_to` is None.

    Raises UnplacedTensorsError that lists, like ones together, every parameter that has no counterpart or whose role
    is open; InvalidInputError for a forward pass that fails, and whatever `widthwise.transfer` refuses.
    """
    for name, model in (("base_model", base_model), ("target_model", target_model)):
        if not isinstance(model, nn.Module):
            raise InvalidInputError(f"{name} is a {type(model).__name__}; give a torch.nn.Module", field=name)
    return plan_of(
        TransferRequest.of_models(
            trace(base_model, inputs),
            trace(target_model, inputs if target_inputs is None else target_inputs),
            base=base,
            target=target,
            roles=roles,
            code_multipliers=code_multipliers,
            parameterization=parameterization,
            optimizer=optimizer,
            alignment=alignment,
            exponents=exponents,
            weight_decay_mode=weight_decay_mode,
            form=form,
            readout_omega=readout_omega,
        )
    )
