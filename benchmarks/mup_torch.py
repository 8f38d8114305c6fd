"""The MLP language model of the proxies with the `mup` package and PyTorch, trained as its users train: one by one.

The same text, batches, steps, schedule, initial standard deviations at the base width and Adam as
workers/engine/proxies/mlp.py; the weights' draws are torch's own. Only benchmarks.cost imports this module, since it
alone needs the extra `bench`.
"""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import mup
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from widthwise.calibration.cost import COOLDOWN_SHARE, VOCABULARY_SIZE, trial_flops
from widthwise.calibration.spec import CalibrationSpec
from workers.engine.data import load_corpus
from workers.engine.optimizers import ADAM_B1, ADAM_B2
from workers.engine.proxies import build_proxy
from workers.engine.proxies.contract import NORM_FLOOR
from workers.engine.training import WARMUP_SHARE, draw, held_out_starts, training_windows

HEALTH_CHECKS = 10  # a run: one that diverged ends there, which a careful user's script does too
TRIED_STEPS = 10  # by which the faster number of threads is found, after as many to warm up (chosen)


class Model(nn.Module):
    """T bytes → embedding → hidden → residual hidden × depth → readout, an RMS norm after each hidden layer."""

    def __init__(self, width: int, T: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY_SIZE, width)
        self.context = nn.Linear(T * width, width, bias=False)
        self.blocks = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.readout = mup.MuReadout(width, VOCABULARY_SIZE, bias=False)

    def forward(self, x_BxT: torch.Tensor) -> torch.Tensor:
        h_BxN = _norm(_gelu(self.context(self.embedding(x_BxT).flatten(1))))
        for block in self.blocks:
            h_BxN = _norm(h_BxN + _gelu(block(h_BxN)))
        return self.readout(h_BxN)


class Trainer:
    """One width's runs."""

    def __init__(self, spec: CalibrationSpec, width: int) -> None:
        self.spec, self.width = spec, width
        proxy, corpus = build_proxy(spec.proxy), load_corpus(spec.proxy.dataset)
        self.train = corpus.train
        self.windows = training_windows(corpus.train.size, proxy)
        self.offsets = np.arange(spec.proxy.sequence_length + 1)
        starts = held_out_starts(corpus.held_out.size, proxy)
        self.held_out = torch.from_numpy(corpus.held_out[starts[..., None] + self.offsets])

    def build(self, rate: float) -> tuple[Model, torch.optim.Optimizer]:
        """A model of this width with its Adam, as the package prescribes them from the base width."""
        proxy, base = self.spec.proxy, self.spec.base_width
        model, narrow, wider = (Model(n, proxy.sequence_length, proxy.depth) for n in (self.width, base, 2 * base))
        mup.set_base_shapes(model, narrow, delta=wider)
        mup.init.normal_(model.embedding.weight, std=1.0)
        for linear in (model.context, *model.blocks, model.readout):
            base_fan_in = linear.weight.shape[1] * base // self.width
            mup.init.normal_(linear.weight, std=base_fan_in**-0.5)
        return model, mup.MuAdam(model.parameters(), lr=rate, betas=(ADAM_B1, ADAM_B2), eps=self.spec.epsilon)

    def advance(self, model: Model, adam: torch.optim.Optimizer, starts_SxB: Any, span: range) -> float:
        """The steps of `span`; gives the last one's loss."""
        loss = torch.zeros(())
        for step in span:
            for group in adam.param_groups:
                group["lr"] = group.setdefault("full_rate", group["lr"]) * share(step, self.spec.steps)
            loss = _loss(model, torch.from_numpy(self.train[starts_SxB[step][:, None] + self.offsets]))
            adam.zero_grad()
            loss.backward()
            adam.step()
        return float(loss.detach())

    def run(self, rate: float, seed: int) -> dict[str, Any]:
        """One trial, as the engine records it."""
        begun, spent, steps, proxy = time.perf_counter(), time.process_time(), self.spec.steps, self.spec.proxy
        torch.manual_seed(seed)
        starts_SxB = draw(seed, {}, steps=steps, batch_size=proxy.batch_size, windows=self.windows).starts
        model, adam = self.build(rate)
        done, loss = 0, 0.0
        while done < steps and math.isfinite(loss):
            stop = min(done + -(-steps // HEALTH_CHECKS), steps)
            loss, done = self.advance(model, adam, starts_SxB, range(done, stop)), stop
        if math.isfinite(loss):
            with torch.no_grad():
                loss = float(torch.stack([_loss(model, piece) for piece in self.held_out]).mean())
        completed = math.isfinite(loss)
        return {
            "width": self.width,
            "learning_rate": rate,
            "seed": seed,
            "status": "completed" if completed else "diverged",
            "loss": loss if completed else None,
            "seconds": time.perf_counter() - begun,
            "cpu_seconds": time.process_time() - spent,
            "flops": trial_flops(
                "mlp",
                self.width,
                depth=proxy.depth,
                sequence_length=proxy.sequence_length,
                windows=done * proxy.batch_size,
            ),
        }

    def fastest(self, numbers: Sequence[int]) -> int:
        """Of these numbers of threads the one that trains fastest, by a few steps."""
        took = {}
        span = range(min(TRIED_STEPS, self.spec.steps))
        starts_SxB = np.zeros((len(span), self.spec.proxy.batch_size), dtype=np.int32)
        for number in numbers:
            torch.set_num_threads(number)
            model, adam = self.build(1e-3)
            self.advance(model, adam, starts_SxB, span)
            begun = time.perf_counter()
            self.advance(model, adam, starts_SxB, span)
            took[number] = time.perf_counter() - begun
        return min(took, key=lambda number: took[number])


def train_grid(spec: CalibrationSpec, threads: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Every trial of the grid, one after another, each width with the fastest of these numbers of threads."""
    for width in spec.widths:
        trainer = Trainer(spec, width)
        number = trainer.fastest(threads)
        torch.set_num_threads(number)
        for rate in spec.learning_rates:
            for seed in range(spec.seeds):
                yield {**trainer.run(rate, seed), "threads": number}


def share(step: int, steps: int) -> float:
    """Share of the learning rate at a step, as workers.engine.training.schedule gives it."""
    warmup, cooldown = max(1, round(WARMUP_SHARE * steps)), max(1, round(COOLDOWN_SHARE * steps))
    return min((step + 1) / warmup, 1.0) * (1.0 - math.sqrt(max((step - (steps - cooldown)) / cooldown, 0.0)))


def _loss(model: Model, windows_BxT: torch.Tensor) -> torch.Tensor:
    tokens = windows_BxT.long()
    return functional.cross_entropy(model(tokens[:, :-1]), tokens[:, -1])


def _norm(h: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(h, h.shape[-1:], eps=NORM_FLOOR)


def _gelu(h: torch.Tensor) -> torch.Tensor:
    return functional.gelu(h, approximate="tanh")
