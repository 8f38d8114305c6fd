"""The coordinate check: how large the activations of every tensor are, and how far training has moved them."""

import jax

from widthwise.calibration.looks import powers_of_two
from widthwise.vocabulary import Measured
from workers.engine.measurements.kind import MeasurementKind
from workers.engine.measurements.norms import rms
from workers.engine.proxies.contract import Tape


def coordinate_sizes(now: Tape, init: Tape) -> dict[str, dict[str, jax.Array]]:
    """Return, by tensor, the RMS over the probe batch of `output` (before any nonlinearity) and of `output_change`.

    Matrices also have `input` and `input_change`; the input of a lookup table is an index. The readout's output is the
    logits. Yang et al. 2022 (2203.03466), appendix D.1, check both the values and their change.
    """
    sizes = {}
    for name, use in now.items():
        sizes[name] = {"output": rms(use.output), "output_change": rms(use.output - init[name].output)}
        if use.is_product:
            sizes[name] |= {"input": rms(use.input), "input_change": rms(use.input - init[name].input)}
    return sizes


COORDINATES = MeasurementKind(
    name=Measured.COORDINATES,
    steps=powers_of_two,
    look=lambda view: coordinate_sizes(view.now(), view.init()),
)
