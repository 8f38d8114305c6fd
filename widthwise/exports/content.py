"""What an export writes: groups of tensors in the trainer's own terms, their patterns, and what is left out."""

from collections.abc import Mapping
from typing import NamedTuple

from widthwise.conversion.decay import convert_decay
from widthwise.errors import InvalidInputError
from widthwise.exports.expressed import NotExpressed
from widthwise.exports.matcher import Members, patterns
from widthwise.exports.record import Decay, ExportRecord
from widthwise.groups import Group, base_learning_rate, groups
from widthwise.theory.optimizers import OPTIMIZERS, decay_mode_in_force
from widthwise.transfers.plan import Plan
from widthwise.version import VERSION
from widthwise.vocabulary import Optimizer, Role, WeightDecayMode


class Row(NamedTuple):
    """One group of an optimizer, in the trainer's own terms."""

    name: str
    tensors: int
    patterns: tuple[str, ...]
    learning_rate: float
    epsilon: float | None  #: None: the trainer's own
    weight_decay: float


class Content(NamedTuple):
    """Everything that an export writes."""

    export: ExportRecord
    plan: Plan
    digest: str
    not_expressed: tuple[NotExpressed, ...]
    rows: tuple[Row, ...]  #: the base's own group first
    base_rate: float
    optimizer: Optimizer | None  #: None: a word that this version does not know
    coupled: bool  #: whether λW is added to the gradient, as torch.optim.Adam does

    @property
    def betas(self) -> tuple[float, float] | None:
        """β₁ and β₂, if a rule of the plan changes either."""
        beta1, beta2 = self.plan.training.beta1, self.plan.training.beta2
        if (beta1 is None or beta1.value is None) and (beta2 is None or beta2.value is None):
            return None
        return (0.9 if beta1 is None or beta1.value is None else beta1.value), (
            0.999 if beta2 is None or beta2.value is None else beta2.value
        )

    @property
    def tensors(self) -> int:
        """How many tensors the groups have."""
        return sum(row.tensors for row in self.rows)

    def heading(self) -> list[str]:
        """Return what every file says of itself, line by line."""
        mode = str(self.plan.provenance.get("weight_decay_mode", ""))
        lines = [
            f"Written by Widthwise {VERSION} for {self.export.trainer} {self.export.versions}.",
            f"Plan: {self.digest}",
            f"{self.tensors} tensors in {len(self.rows)} groups; names are found by {self.export.matcher.value}.",
            f"Learning rates are {self.export.rate.value}.",
            f"Weight decay takes {self.export.decay.value} off W (the plan's mode: {mode}).",
            self.export.scheduler,
        ]
        if all(tensor.weight_decay.value is None for tensor in self.plan.tensors):
            lines.append("The base gave no weight decay, so 0 is written.")
        lines += [
            f"Not expressed{'' if each.matters else ' (nothing to express)'}: {each.quantity}: {each.reason}."
            for each in self.not_expressed
        ]
        lines += [f"Warning of the plan ({caution.code}): {caution.message}" for caution in self.plan.warnings]
        return [" ".join(line.split()) for line in lines]


def content(plan: Plan, export: ExportRecord, left: tuple[NotExpressed, ...]) -> Content:
    """Return what an export writes of a plan.

    Raises InvalidInputError for an optimizer or a decay that the trainer does not have, for names that its matcher
    can't keep apart, and as `groups` does.
    """
    optimizer = _optimizer(plan, export)
    if export.is_table:
        return Content(export, plan, plan.digest, left, (), 1.0, optimizer, coupled=False)
    found = groups(plan)
    members = [Members(group.name, group.tensors) for group in found]
    by_group = patterns(members, export.matcher, wrapped=export.wrapped, prefixes=export.prefixes)
    mode = WeightDecayMode(plan.provenance.get("weight_decay_mode", WeightDecayMode.DECOUPLED))
    coupled = mode is WeightDecayMode.COUPLED and any(group.weight_decay for group in found)
    if coupled and optimizer is not Optimizer.SGD and not export.takes_coupled_decay:
        raise InvalidInputError(
            f"the plan's weight decay is coupled (λW is added to the gradient), and {export.trainer} has AdamW alone, "
            "which decays apart from the gradient; ask for a plan with weight_decay_mode 'decoupled'",
            field="weight_decay_mode",
        )
    rows = tuple(
        Row(
            group.name,
            len(group.tensors),
            each.patterns,
            group.learning_rate,
            group.epsilon,
            _decay(group, mode, export.decay, optimizer),
        )
        for group, each in zip(found, by_group, strict=True)
    )
    return Content(export, plan, plan.digest, left, rows, base_learning_rate(plan), optimizer, coupled)


def _optimizer(plan: Plan, export: ExportRecord) -> Optimizer | None:
    word = plan.provenance.get("optimizer")
    known = Optimizer(word) if word in set(Optimizer) else None
    if export.is_table or known in export.optimizers:
        return known
    listed = ", ".join(sorted(each.value for each in export.optimizers))
    named = OPTIMIZERS[known].label if known is not None else repr(word)
    raise InvalidInputError(
        f"the plan is for {named}, and the export to {export.name} is for {listed}; ask for a plan for one of these, "
        "or export to torch, whose groups any optimizer of PyTorch takes",
        field="optimizer",
    )


def _decay(group: Group, mode: WeightDecayMode, dialect: Decay, optimizer: Optimizer | None) -> float:
    """Return λ as the trainer takes it; 0 if the base gave none."""
    value = group.weight_decay or 0.0
    word = optimizer or Optimizer.ADAMW
    if value == 0 or decay_mode_in_force(word, mode) is WeightDecayMode.COUPLED:
        return value
    wanted = WeightDecayMode.INDEPENDENT if dialect is Decay.SHARE_OF_PEAK else WeightDecayMode.DECOUPLED
    return convert_decay(value, optimizer=word, learning_rate=group.learning_rate, source=mode, target=wanted).value


def init_stds(plan: Plan) -> Mapping[str, float]:
    """Return the deviation of each matrix whose value is known, by the name of its owner."""
    roles = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT)
    return {
        tensor.name: tensor.init_std.value
        for tensor in plan.tensors
        if tensor.tied_to is None and tensor.role in roles and tensor.init_std.value is not None
    }


def by_value(values: Mapping[str, float]) -> dict[float, list[str]]:
    """Return the names that share each value, in order."""
    found: dict[float, list[str]] = {}
    for name, value in values.items():
        found.setdefault(value, []).append(name)
    return found
