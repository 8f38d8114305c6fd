"""Do the plans of real models do what theory says? A Llama and a GPT-2 of transformers, wider and wider.

    python -m benchmarks.real_models                       # some minutes on two quiet cores
    python -m benchmarks.real_models --widths 128 256 --dry

Both models are built at the base width and at every target width, read by a trace, and trained for a few steps on
bytes of Python's documentation with init, forward multipliers, learning rates and epsilons of the plan between the
two. Two things must hold: activations keep their size over width, and parameterizations that are one function written
in two ways (standard and NTK, muP and mean-field) train alike.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks.record import PACKAGES, arguments, write_result
from widthwise import Base
from widthwise.torch import plan
from widthwise.transfers.plan import Plan
from widthwise.vocabulary import Parameterization
from workers.engine.data import load_corpus

HEAD_DIM, DEPTH, VOCABULARY, CONTEXT, BATCH = 32, 2, 256, 32, 8  # small enough for a minute at width 1024 (chosen)
BASE_WIDTH = 128
STEPS = 8
#: Chosen: training changes activations by about their own size in these steps. At 2⁻⁹ the widest standard models
#: overshoot in the first one.
LEARNING_RATE = 2**-10
EPSILON = 1e-12  # of no effect next to gradients of this size
BETAS = (0.9, 0.95)  # of language models (chosen)
INIT_STD = 0.09  # 1/√128, what keeps the base's activations at their size
AIM = 0.1  # distance of a slope from theory's
#: One function written in two ways: moving n^(−θ) from the weights into the multiplier (docs/theory.md, section 1).
ALIKE = ((Parameterization.STANDARD, Parameterization.NTK), (Parameterization.MUP, Parameterization.MEAN_FIELD))
#: The slope of the logits at init: muP sizes the readout for weights that are aligned with what they read.
LOGITS_AT_INIT = {"mup": -0.5, "mean_field": -0.5}
NO_PLAN = "none: the base's numbers"


def llama(width: int) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = width // HEAD_DIM
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=DEPTH,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=CONTEXT,
        initializer_range=INIT_STD,
        bos_token_id=None,
        eos_token_id=None,
        use_cache=False,
    )
    return LlamaForCausalLM._from_config(config, attn_implementation="eager")


def gpt2(width: int) -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=width,
        n_layer=DEPTH,
        n_head=width // HEAD_DIM,
        initializer_range=INIT_STD,
        bos_token_id=None,
        eos_token_id=None,
        use_cache=False,
        attn_pdrop=0.0,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
    )
    return GPT2LMHeadModel._from_config(config, attn_implementation="eager")


MODELS = {"Llama": llama, "GPT-2": gpt2}


@dataclass(frozen=True)
class Run:
    """What a few steps of one model showed."""

    model: str
    parameterization: str
    width: int
    seed: int
    losses: tuple[float, ...]  #: before each step, and at the end
    initial: Mapping[str, float]  #: RMS of the stream and of the logits, at init
    final: Mapping[str, float]  #: the same at the end, for the same text
    change: Mapping[str, float]  #: RMS of what training changed in them

    @classmethod
    def of(cls, model: str, kind: Parameterization | None, width: int, seed: int) -> "Run":
        """Train one model with what the plan from the base says; None: with the base's own numbers."""
        torch.manual_seed(seed)
        base, target = MODELS[model](BASE_WIDTH), MODELS[model](width)
        texts_SxBxT = texts(seed)
        found = plan(
            base,
            target if kind else base,
            {"input_ids": texts_SxBxT[0]},
            parameterization=kind or Parameterization.STANDARD,
            optimizer="adam",
            base=Base(learning_rate=LEARNING_RATE, epsilon=EPSILON, weight_decay=0.0),
        )
        weights = _initial(base, target, found)
        optimizer = torch.optim.Adam(_groups(weights, found), betas=BETAS)
        losses = []
        _, before = _pass(target, weights, found, texts_SxBxT[-1])
        for tokens_BxT in texts_SxBxT[:-1]:
            loss, _ = _pass(target, weights, found, tokens_BxT)
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss, after = _pass(target, weights, found, texts_SxBxT[-1])
        return cls(
            model,
            kind.value if kind else NO_PLAN,
            width,
            seed,
            (*losses, loss.item()),
            initial={name: _rms(states) for name, states in before.items()},
            final={name: _rms(states) for name, states in after.items()},
            change={name: _rms(states - before[name]) for name, states in after.items()},
        )


def _initial(base: nn.Module, target: nn.Module, found: Plan) -> dict[str, Tensor]:
    """The target's weights: what its code draws, at the base's size times the plan's multiplier.

    Gains start at one and biases at zero whatever the width.
    """
    size = {name: weights.std().item() for name, weights in base.named_parameters()}
    return {
        name: _sized(weights.detach(), size[name] * found.tensor(name).init_std.multiplier).requires_grad_()
        for name, weights in target.named_parameters()
    }


def _sized(weights: Tensor, std: float) -> Tensor:
    is_constant = weights.dim() == 1
    return weights.clone() if is_constant else weights * (std / weights.std())


def _groups(weights: Mapping[str, Tensor], found: Plan) -> Iterator[dict[str, Any]]:
    for name, tensor in weights.items():
        quantities = found.tensor(name)
        assert quantities.epsilon is not None
        yield {"params": [tensor], "lr": quantities.learning_rate.value, "eps": quantities.epsilon.value}


def _pass(
    model: nn.Module, weights: Mapping[str, Tensor], found: Plan, tokens_BxT: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss, and what the blocks and the readout return."""
    effective = {
        tensor.name: tensor.forward_multiplier.multiplier * weights[tensor.tied_to or tensor.name]
        for tensor in found.tensors
    }
    arguments_ = {"input_ids": tokens_BxT, "labels": tokens_BxT, "output_hidden_states": True}
    output = functional_call(model, effective, (), arguments_, tie_weights=False)
    # transformers returns the stream before every block, and after the last norm instead of the last block
    stream = {f"stream before block {number}": states for number, states in enumerate(output.hidden_states[:-1])}
    states = {**stream, "last norm": output.hidden_states[-1], "logits": output.logits}
    return output.loss, {name: each.detach() for name, each in states.items()}


def _rms(states: Tensor) -> float:
    return float(states.square().mean().sqrt())


def texts(seed: int) -> Tensor:
    """A batch of windows for each step, and one to look at the end with."""
    bytes_N = load_corpus("python_docs").train
    starts = np.random.default_rng(seed).integers(0, len(bytes_N) - CONTEXT, (STEPS + 1, BATCH))
    windows = bytes_N[starts[..., None] + np.arange(CONTEXT)]
    return torch.from_numpy(windows.astype(np.int64))


def main() -> None:
    options = _options()
    begun = time.monotonic()
    runs = [
        Run.of(model, kind, width, seed)
        for model in MODELS
        for kind in Parameterization
        for width in options.widths
        for seed in range(options.seeds)
    ]
    controls = [Run.of(model, None, width, seed) for model in MODELS for width in options.widths for seed in range(1)]
    slopes = [*_slopes(runs, options.widths), *_slopes(controls, options.widths)]
    pairs = list(_pairs(runs, options.widths))
    right = [each for each in slopes if each["parameterization"] != NO_PLAN]
    activations, logits = (
        [each for each in right if (each["size"] == "logits") is of_logits] for of_logits in (False, True)
    )
    worst = max(abs(each["final"]) for each in activations)
    apart = max(each["apart"] for each in pairs)
    lines = [
        f"Models of transformers with {DEPTH} blocks, heads of {HEAD_DIM} and a vocabulary of bytes; base width "
        f"{BASE_WIDTH}, {options.seeds} seeds, Adam, {STEPS} steps of {BATCH} × {CONTEXT} bytes of Python's "
        "documentation. Init, forward multipliers, learning rates and epsilons come from the plan between the traced "
        f"base and the traced target. The aim: slopes of activations after {STEPS} steps within {AIM} of theory's, "
        "and losses that agree to four digits at every step, where parameterizations are one function written in two "
        "ways.",
        "",
        f"* Largest distance of an activation's slope after {STEPS} steps from theory's 0: {worst:.3f}",
        "* Largest distance of a slope of what training changed from theory's 0: "
        f"{max(abs(each['change']) for each in activations):.3f} for activations, "
        f"{max(abs(each['change']) for each in logits):.3f} for logits",
        f"* Largest relative difference of two losses that must agree: {apart:.1e}",
        f"* Seconds in all: {time.monotonic() - begun:.0f}",
        "",
        "| model | parameterization | size | slope at init | expected | slope at the end | slope of the change |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {each['model']} | {each['parameterization']} | {each['size']} | {each['initial']:+.3f} "
            f"| {each['expected_initial']:+.1f} | {each['final']:+.3f} | {each['change']:+.3f} |"
            for each in slopes
        ),
        "",
        "Slopes of log RMS over log width, for a text that the models did not train on. The last two columns are 0 in "
        "theory; the logits of muP still hold some of their init, which falls with the width, so that their size is "
        "less flat than their change. Without a plan, every width trains with what was tuned at the base: theory has "
        "no slope for that, and the table shows how far the check sees.",
        "",
        "| model | parameterizations | width | final losses | largest relative difference at any step |",
        "|---|---|---|---|---|",
        *(
            f"| {each['model']} | {' = '.join(each['kinds'])} | {each['width']} "
            f"| {' and '.join(f'{loss:.5f}' for loss in each['losses'])} | {each['apart']:.1e} |"
            for each in pairs
        ),
    ]
    write_result(
        "real_models",
        "Real models over width",
        lines,
        {"slopes": slopes, "pairs": pairs, "runs": [vars(run) for run in (*runs, *controls)]},
        options,
        packages=(*PACKAGES, "transformers"),
    )


def _slopes(runs: Sequence[Run], widths: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The slope over width of every size, at init and at the end, of each model in each parameterization."""
    for model, kind in dict.fromkeys((run.model, run.parameterization) for run in runs):
        of_kind = [run for run in runs if (run.model, run.parameterization) == (model, kind)]
        for size in of_kind[0].final:
            slopes = {
                when: _slope(
                    widths,
                    [_mean(getattr(run, when)[size] for run in of_kind if run.width == width) for width in widths],
                )
                for when in ("initial", "final", "change")
            }
            expected = LOGITS_AT_INIT.get(kind, 0.0) if size == "logits" else 0.0
            yield {"model": model, "parameterization": kind, "size": size, "expected_initial": expected, **slopes}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _slope(widths: Sequence[int], sizes: Sequence[float]) -> float:
    return float(np.polyfit(np.log(widths), np.log(sizes), 1)[0])


def _pairs(runs: Sequence[Run], widths: Sequence[int]) -> Iterator[dict[str, Any]]:
    """How far apart two parameterizations that are one function train."""
    for model in MODELS:
        for kinds in ALIKE:
            for width in widths:
                one, other = (np.array([run.losses for run in runs if _is(run, model, kind, width)]) for kind in kinds)
                yield {
                    "model": model,
                    "kinds": [kind.value for kind in kinds],
                    "width": width,
                    "losses": [float(losses[:, -1].mean()) for losses in (one, other)],
                    "apart": float(np.max(np.abs(one / other - 1))),
                }


def _is(run: Run, model: str, kind: Parameterization, width: int) -> bool:
    return (run.model, run.parameterization, run.width) == (model, kind.value, width)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--seeds", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
