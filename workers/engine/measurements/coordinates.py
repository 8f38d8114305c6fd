"""The coordinate check: how large the activations of every tensor are, and how far training has moved them."""

import jax

from workers.engine.measurements.norms import rms
from workers.engine.proxies.contract import Tape


def coordinate_sizes(now: Tape, init: Tape) -> dict[str, dict[str, jax.Array]]:
    """By tensor, RMS over the probe batch of its `output` (before any nonlinearity) and of that output's `change`.

    Matrices also have `input` and `input_change`; the input of a table is an index. Those of the readout's output are
    the logits'. Yang et al. 2022 (2203.03466), appendix D.1, check both the values and their change.
    """
    sizes = {}
    for name, use in now.items():
        sizes[name] = {"output": rms(use.output), "output_change": rms(use.output - init[name].output)}
        if use.is_product:
            sizes[name] |= {"input": rms(use.input), "input_change": rms(use.input - init[name].input)}
    return sizes
