"""Everything that the trials of one width share: tensors, prescription, pure functions, and the text on the device."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite, log

import jax

from widthwise.calibration.cost import VOCABULARY_SIZE, trial_flops
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import TrialStatus
from workers.engine.beyond_width import ONLY_WIDTH, BeyondWidth
from workers.engine.data import Corpus
from workers.engine.optimizers import constants_in_force
from workers.engine.prescription import Prescription, prescribe
from workers.engine.proxies import build_proxy
from workers.engine.proxies.contract import Proxy, TensorSpec
from workers.engine.training import (
    Draws,
    Hyperparameters,
    TrialFunctions,
    draw,
    hyperparameters,
    training_windows,
    trial_functions,
)

# Compiled programs that a process keeps of each kind (chosen), since a round revisits the widths of the last one: to
# trace a program and read it from the cache on disk takes 0.3 s of processor time (measured, MLP of width 64)
PROGRAMS = 4
CHUNKS = 10  # a diverged trial stops within a tenth of its steps; each further chunk would cost a device round trip
EXPLODED_LOSS = 2.0 * log(VOCABULARY_SIZE)  # nats: twice the loss of a uniform guess; no useful trial exceeds it


@dataclass(frozen=True, eq=False)
class WidthProgram:
    """The parts of every trial of `width`."""

    spec: CalibrationSpec
    width: int
    proxy: Proxy
    tensors: Mapping[str, TensorSpec]
    prescription: Prescription
    functions: TrialFunctions  #: not compiled
    train_text: jax.Array  #: shape (N,), uint8
    held_out_text: jax.Array  #: shape (M,), uint8

    @classmethod
    def of(cls, spec: CalibrationSpec, width: int, corpus: Corpus, beyond: BeyondWidth = ONLY_WIDTH) -> "WidthProgram":
        """Raise InvalidInputError if width or combination can't be trained, or the text is shorter than a window."""
        prescription = prescribe(spec, build_proxy(spec.proxy), width, beyond)
        proxy = build_proxy(spec.proxy, prescription.residual_multiplier)
        return cls(
            spec=spec,
            width=width,
            proxy=proxy,
            tensors=proxy.tensor_shapes(width),
            prescription=prescription,
            functions=trial_functions(
                proxy,
                spec.optimizer,
                steps=spec.steps,
                held_out_bytes=corpus.held_out.size,
                hidden=proxy.hidden_matrices(width),
                constants={**constants_in_force(spec), **prescription.constants},
                decay_mode=beyond.decay_mode(spec.optimizer),
            ),
            train_text=jax.device_put(corpus.train),
            held_out_text=jax.device_put(corpus.held_out),
        )

    def hyperparameters(self, trial: TrialIdentity) -> Hyperparameters:
        """Return the traced inputs of one trial; raises InvalidInputError if no tensor has its role."""
        roles = {name: tensor.role for name, tensor in self.tensors.items()}
        if trial.role is not None and trial.role not in roles.values():
            raise InvalidInputError(
                f"no tensor of the {self.proxy.architecture.value} has the role {trial.role.value!r}; "
                f"give one of {', '.join(sorted(set(roles.values())))}",
                field="shard.role",
            )
        factors = {name: trial.gamma if role is trial.role else 1.0 for name, role in roles.items()}
        rates = {name: rate * factors[name] for name, rate in self.prescription.learning_rates.items()}
        return hyperparameters(replace(self.prescription, learning_rates=rates), trial.learning_rate)

    def draw(self, seed: int) -> Draws:
        """The draws of `seed`, the same for every learning rate."""
        return draw(
            seed,
            self.tensors,
            steps=self.spec.steps,
            batch_size=self.spec.proxy.batch_size,
            windows=training_windows(self.train_text.size, self.proxy),
        )

    @property
    def stops(self) -> list[int]:
        """The steps after which a trial is checked, ascending; the last is its end."""
        chunk = -(-self.spec.steps // CHUNKS)
        return [*range(chunk, self.spec.steps, chunk), self.spec.steps]

    def ended(self, trial: TrialIdentity, loss: float | None, *, seconds: float, steps: int, stopped: bool) -> Trial:
        """Return the record of a trial; `loss` is its evaluated loss, None if it ended earlier."""
        completed = loss is not None and is_healthy(loss)
        failed = TrialStatus.STOPPED if stopped else TrialStatus.DIVERGED
        return Trial(
            **trial._asdict(),
            status=TrialStatus.COMPLETED if completed else failed,
            loss=loss if completed else None,
            seconds=seconds,
            steps=steps,
            flops=flops_of(self.spec, self.width, steps, evaluated=loss is not None),
        )


def flops_of(spec: CalibrationSpec, width: int, steps: int, *, evaluated: bool) -> float:
    """Return the operations of a trial that did `steps` steps; one that ended early was not evaluated."""
    proxy = spec.proxy
    return trial_flops(
        proxy.architecture,
        width,
        depth=proxy.depth,
        sequence_length=proxy.sequence_length,
        windows=steps * proxy.batch_size,
        evaluated=evaluated,
        feed_forward=proxy.feed_forward,
        head_dim=proxy.head_dim,
    )


def is_healthy(loss: float) -> bool:
    """Whether training can recover from a loss in nats."""
    return isfinite(loss) and loss < EXPLODED_LOSS
