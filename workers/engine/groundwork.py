"""What all trials of one width share: tensors, prescription, pure functions, and the text on the device."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite, log

import jax

from widthwise.calibration.cost import VOCABULARY_SIZE, trial_flops
from widthwise.errors import InvalidInputError
from workers.engine.data import Corpus
from workers.engine.prescription import Prescription, prescribe
from workers.engine.proxies import build_proxy
from workers.engine.proxies.contract import Proxy, TensorSpec
from workers.engine.specification import SweepSpec
from workers.engine.training import (
    Draws,
    Hyperparameters,
    TrialFunctions,
    draw,
    hyperparameters,
    training_windows,
    trial_functions,
)
from workers.engine.trials import Setting, Trial

CHUNKS = 10  # a diverged trial stops within a tenth of its steps; more would cost a device round trip each
EXPLODED_LOSS = 2.0 * log(VOCABULARY_SIZE)  # nats: twice the loss of a uniform guess; no useful trial passes it


@dataclass(frozen=True, eq=False)
class Groundwork:
    """The parts of every trial of `width`."""

    sweep: SweepSpec
    width: int
    proxy: Proxy
    tensors: Mapping[str, TensorSpec]
    prescription: Prescription
    functions: TrialFunctions  #: not compiled
    train_text: jax.Array  #: shape (N,), uint8
    held_out_text: jax.Array  #: shape (M,), uint8

    @classmethod
    def of(cls, sweep: SweepSpec, width: int, corpus: Corpus) -> "Groundwork":
        """Raises InvalidInputError for what can't be trained: a width, a combination, a text shorter than a window."""
        proxy = build_proxy(sweep.proxy)
        return cls(
            sweep=sweep,
            width=width,
            proxy=proxy,
            tensors=proxy.tensor_shapes(width),
            prescription=prescribe(sweep, proxy, width),
            functions=trial_functions(
                proxy, sweep.optimizer, steps=sweep.steps, held_out_bytes=corpus.held_out.size, atan2=sweep.atan2
            ),
            train_text=jax.device_put(corpus.train),
            held_out_text=jax.device_put(corpus.held_out),
        )

    def hyperparameters(self, setting: Setting) -> Hyperparameters:
        """The traced inputs of one trial; raises InvalidInputError where no tensor has the setting's role."""
        roles = {name: tensor.role for name, tensor in self.tensors.items()}
        if setting.role is not None and setting.role not in roles.values():
            raise InvalidInputError(
                f"no tensor of the {self.proxy.architecture} has the role {setting.role!r}; "
                f"give one of {', '.join(sorted(set(roles.values())))}",
                field="shard.role",
            )
        factors = {name: setting.gamma if role == setting.role else 1.0 for name, role in roles.items()}
        rates = {name: rate * factors[name] for name, rate in self.prescription.learning_rates.items()}
        return hyperparameters(replace(self.prescription, learning_rates=rates), setting.learning_rate)

    def draw(self, seed: int) -> Draws:
        """The draws of `seed`, the same for every learning rate."""
        return draw(
            seed,
            self.tensors,
            steps=self.sweep.steps,
            batch_size=self.sweep.proxy.batch_size,
            windows=training_windows(self.train_text.size, self.proxy),
        )

    @property
    def stops(self) -> list[int]:
        """The steps after which a trial is looked at, ascending; the last is its end."""
        chunk = -(-self.sweep.steps // CHUNKS)
        return [*range(chunk, self.sweep.steps, chunk), self.sweep.steps]

    def ended(self, setting: Setting, loss: float | None, *, seconds: float, steps: int, stopped: bool) -> Trial:
        """The record of a trial; `loss` is what its evaluation gave, None where it ended before."""
        completed = loss is not None and is_healthy(loss)
        return Trial(
            width=self.width,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
            status="completed" if completed else "stopped" if stopped else "diverged",
            loss=loss if completed else None,
            seconds=seconds,
            steps=steps,
            flops=flops_of(self.sweep, self.width, steps, evaluated=loss is not None),
            role=setting.role,
            gamma=setting.gamma,
            horizon=setting.horizon,
        )


def flops_of(sweep: SweepSpec, width: int, steps: int, *, evaluated: bool) -> float:
    """Operations of a trial that did `steps` steps; one that ended before its last was not evaluated."""
    proxy = sweep.proxy
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
    """Whether a loss in nats is one that training can come back from."""
    return isfinite(loss) and loss < EXPLODED_LOSS
