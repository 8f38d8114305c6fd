"""The coordinate check of a PyTorch model: do its activations keep their size as it grows, at init and in training?"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn

from widthwise.calibration.looks import along_the_run, powers_of_two
from widthwise.calibration.trial import Measurement
from widthwise.errors import InvalidInputError
from widthwise.estimate.parts.alignments import fit_readings
from widthwise.estimate.parts.coordinates import expected_slopes, judge
from widthwise.estimate.readings import readings_of
from widthwise.model import Base
from widthwise.tensors.multipliers import ComputedMultiplier
from widthwise.theory.alignment import AlignmentLike, Number, parse
from widthwise.torch.activations import Activations, activations, rms
from widthwise.torch.adam_atan2 import AdamAtan2
from widthwise.torch.alignment import ratios, weights_of
from widthwise.torch.coordinate_report import CoordinateReport
from widthwise.torch.init import init_
from widthwise.torch.inputs import Inputs
from widthwise.torch.losses import Loss, loss_of
from widthwise.torch.multipliers import apply_multipliers
from widthwise.torch.param_groups import param_groups
from widthwise.torch.trace import trace
from widthwise.transfers.plan import Plan
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import Form, Measured, Optimizer, Parameterization, Role, WeightDecayMode, known_word

#: Of a width: a model to train as its plan says; or a model and the optimizer that trains it, both as they are.
MakeModel: TypeAlias = "Callable[[int], nn.Module | tuple[nn.Module, torch.optim.Optimizer]]"
MakeOptimizer: TypeAlias = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]

_OPTIMIZERS: Mapping[Optimizer, MakeOptimizer] = {
    Optimizer.SGD: torch.optim.SGD,
    Optimizer.ADAM: torch.optim.Adam,
    Optimizer.ADAMW: torch.optim.AdamW,
    Optimizer.ADAM_ATAN2: AdamAtan2,
    Optimizer.NADAM: torch.optim.NAdam,
    Optimizer.ADAMAX: torch.optim.Adamax,
}
_MATRICES = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT)
_LOOKS = {Measured.COORDINATES: powers_of_two, Measured.ALIGNMENT: along_the_run}  #: the steps at which to look
_SIZES = {"output", "output_change"}
_ROOT = "the model"
_UNPLACED = "module"  #: the role of a module without a matrix, or with matrices of several roles


def coordinate_check(
    make_model: MakeModel,
    widths: Sequence[int],
    batch: Inputs,
    *,
    parameterization: Parameterization | str,
    optimizer: Optimizer | str,
    base: Base | None = None,
    loss: Loss | None = None,
    steps: int = 32,
    seeds: int = 2,
    batches: Sequence[Inputs] = (),
    make_optimizer: MakeOptimizer | None = None,
    roles: Mapping[str, Role | str] | None = None,
    code_multipliers: Sequence[ComputedMultiplier] = (),
    alignment: AlignmentLike = "full",
    weight_decay_mode: WeightDecayMode | str | None = None,
    form: Form | str = Form.TABLE_9,
    readout_omega: Number | None = None,
    done: Collection[str] = (),
) -> CoordinateReport:
    """Train a model for a few steps at several widths, and return whether its activations scale as theory says.

    make_model: returns a new model of a width. It is trained from `base`, tuned at the smallest width, by the plan of
    each width: multipliers, weights and rates. To check a script that sets these itself, return (model, optimizer);
    then both are taken as they are, and the words say what they should be. The random numbers are those of one seed at
    every width.

    widths: three or more, each at least 1.5 times the one before, tell a slope from its neighbours. batch: what the
    forward pass takes, at every width; activations are measured on it. batches: trained on in turn; `batch` itself if
    none are given. loss: as in `measure`. steps, seeds: of each width; activations are measured at init and after 1, 2,
    4, 8, … steps. make_optimizer: of parameter groups, for an optimizer that PyTorch does not have. done: as in
    `apply_multipliers`; the other words are those of `widthwise.torch.plan`.

    Every module's output is measured; judged are those that hold matrices of one role, by the slopes that the
    parameterization, the optimizer and the alignment predict (docs/theory.md). `report.alignment` is what the same runs
    show of α, ω and u, at shares of the steps: take a few hundred for it. Random numbers stay as they were.

    Raises InvalidInputError for fewer than two widths, without a loss, without a base to plan from; and what
    `widthwise.torch.plan`, `apply_multipliers` and `init_` raise.
    """
    scheme = known_word(Parameterization, parameterization, "parameterization")
    kind = known_word(Optimizer, optimizer, "optimizer")
    ordered = _ascending(widths)
    with torch.random.fork_rng():
        readings = {width: trace(_model(make_model(width)), batch) for width in ordered}
        plans = {
            width: plan_of(
                TransferRequest.of_models(
                    readings[ordered[0]],
                    readings[width],
                    base=base or Base(),
                    roles=roles,
                    code_multipliers=code_multipliers,
                    parameterization=scheme,
                    optimizer=kind,
                    alignment=alignment,
                    weight_decay_mode=weight_decay_mode,
                    form=form,
                    readout_omega=readout_omega,
                )
            )
            for width in ordered
        }
        placed = _roles(plans[ordered[-1]])

        def training(width: int, seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
            torch.manual_seed(seed)
            made = make_model(width)
            if isinstance(made, tuple):
                return made
            if base is None or base.learning_rate is None:
                raise InvalidInputError(
                    "base.learning_rate is missing; give base=Base(learning_rate=…, init_std=…) as tuned at the "
                    "smallest width, or let make_model return (model, optimizer)",
                    field="base",
                )
            plan = apply_multipliers(made, plans[width], batch, done=done)
            init_(made, plan, _model(make_model(ordered[0])) if base.init_std is None else None)
            return made, _optimizer(kind, make_optimizer)(param_groups(made, plan))

        measurements = [
            Measurement(width, seed, kind_of_record, data)
            for width in ordered
            for seed in range(seeds)
            for kind_of_record, data in _run(
                *training(width, seed), batch, batches or (batch,), placed, loss=loss, steps=steps
            ).items()
        ]
    declared = parse(alignment, readout_omega)
    expected = expected_slopes(scheme, kind, declared, tied=any(each.tied_to for each in plans[ordered[-1]].tensors))
    aligned = readings_of(measurements, Measured.ALIGNMENT)
    return CoordinateReport(
        judge(readings_of(measurements, Measured.COORDINATES), scheme, expected),
        fit_readings(aligned, scheme, kind, known_word(Form, form, "form"), declared),
        tuple(measurements),
    )


def _ascending(widths: Sequence[int]) -> list[int]:
    ordered = sorted(set(widths))
    if len(ordered) < 2:
        raise InvalidInputError(
            f"widths is {list(widths)}; give at least two, and three or more for a verdict", field="widths"
        )
    return ordered


def _model(made: Any) -> Any:
    return made[0] if isinstance(made, tuple) else made


def _optimizer(kind: Optimizer, make_optimizer: MakeOptimizer | None) -> MakeOptimizer:
    if make_optimizer is not None:
        return make_optimizer
    if kind not in _OPTIMIZERS:
        raise InvalidInputError(
            f"PyTorch has no {kind.value!r} that takes any parameter; give make_optimizer=lambda groups: …",
            field="make_optimizer",
        )
    return _OPTIMIZERS[kind]


def _roles(plan: Plan) -> dict[str, tuple[str, int]]:
    """By a module's path, the role and the fan-in of its matrices, if they have one role."""
    found: dict[str, set[tuple[Role, int]]] = {}
    for tensor in plan.tensors:
        if tensor.role in _MATRICES:
            found.setdefault(tensor.name.rpartition(".")[0], set()).add((tensor.role, tensor.fan_in))
    return {
        path: (next(iter(of))[0].value, max(fan for _, fan in of))
        for path, of in found.items()
        if len({role for role, _ in of}) == 1
    }


def _run(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Inputs,
    batches: Sequence[Inputs],
    placed: Mapping[str, tuple[str, int]],
    *,
    loss: Loss | None,
    steps: int,
) -> dict[Measured, dict[str, Any]]:
    """Train, and return the records of what was seen: each has the form of a calibration's measurement."""
    model.train()
    rate = float(optimizer.param_groups[0]["lr"])
    data: dict[Measured, dict[str, Any]] = {
        kind: {"learning_rate": rate, "steps": steps, "diverged_at": None, "snapshots": []} for kind in _LOOKS
    }
    looks = {kind: of(steps) for kind, of in _LOOKS.items()}
    start = activations(model, batch)
    weights = weights_of(start)
    for step in range(steps + 1):
        if step > 0:
            optimizer.zero_grad()
            found = loss_of(model, batches[(step - 1) % len(batches)], loss)
            if not math.isfinite(found.item()):
                break
            found.backward()
            optimizer.step()
        if not any(step in of for of in looks.values()):
            continue
        now = activations(model, batch)
        sizes = dict(_sizes(now, start, placed))
        if not all(math.isfinite(each[size]) for each in sizes.values() for size in _SIZES & each.keys()):
            break
        if step in looks[Measured.COORDINATES]:
            data[Measured.COORDINATES]["snapshots"].append({"step": step, "tensors": sizes})
        if step in looks[Measured.ALIGNMENT]:
            fan_ins = {path: fan_in for path, (_, fan_in) in placed.items()}
            aligned = {
                path or _ROOT: {"role": placed[path][0], "fan_in": fan_ins[path], **of}
                for path, of in ratios(now, start, weights, fan_ins)
            }
            data[Measured.ALIGNMENT]["snapshots"].append({"step": step, "tensors": aligned})
    else:
        return data
    for each in data.values():
        each["diverged_at"] = step
    return data


def _sizes(
    now: Mapping[str, Activations], start: Mapping[str, Activations], placed: Mapping[str, tuple[str, int]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The RMS of each module's output and of its change; no change if the data decided what it saw."""
    for path, each in now.items():
        role, fan_in = placed.get(path, (_UNPLACED, 1))
        sizes: dict[str, Any] = {"role": role, "fan_in": fan_in, "output": rms(each.outputs)}
        before = start[path].outputs if path in start else []
        if [one.shape for one in each.outputs] == [one.shape for one in before]:
            sizes["output_change"] = rms([one - other for one, other in zip(each.outputs, before, strict=True)])
        yield path or _ROOT, sizes
