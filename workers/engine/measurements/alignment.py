"""How updates and initial weights align with activations: α, ω and u of every matrix on a probe batch.

Everett et al. 2024 (2407.05872), section 3, in RMS norms and with Δ = now − init:

    n^α = ‖ΔW z₀‖ / (‖ΔW‖‖z₀‖)     n^ω = ‖W₀ Δz‖ / (‖W₀‖‖Δz‖)     n^u = ‖ΔW Δz‖ / (‖ΔW‖‖Δz‖)

and the log-alignment ratio A of the product, n^A = ‖W z‖ / (‖W‖‖z‖), at n = fan-in. Random signs give √n, full
alignment n. Norms are over all positions of the probe batch. Forward multipliers cancel.
"""

from collections.abc import Mapping
from math import log

import jax

from widthwise.calibration.looks import along_the_run
from widthwise.vocabulary import Measured
from workers.engine.measurements.kind import MeasuredTensor, MeasurementKind, Numbers
from workers.engine.measurements.norms import rms
from workers.engine.proxies.contract import Tape, Use


def alignment_ratios(now: Tape, init: Tape) -> dict[str, dict[str, jax.Array]]:
    """Return, by matrix, the ratios n^α, n^ω, n^u and n^A of the formulas above; NaN if a change is 0.

    Lookup tables have no entry: their input is an index, which is not summed over and does not change.
    """
    return {name: _ratios(use, init[name]) for name, use in now.items() if use.is_product}


def _ratios(now: Use, init: Use) -> dict[str, jax.Array]:
    weight_change, input_change = now.weight - init.weight, now.input - init.input

    def ratio(weight_IxO: jax.Array, input_RxI: jax.Array) -> jax.Array:
        return rms(input_RxI @ weight_IxO) / (rms(weight_IxO) * rms(input_RxI))

    return {
        "alpha": ratio(weight_change, init.input),
        "omega": ratio(init.weight, input_change),
        "u": ratio(weight_change, input_change),
        "log_alignment": ratio(now.weight, now.input),
    }


def _in_powers_of_fan_in(ratios: Mapping[str, float], tensor: MeasuredTensor) -> Numbers:
    """Return log of each ratio to the base fan-in; None if there is no ratio: a change is exactly 0."""
    fan_in = log(tensor.use.fan_in)
    return {name: log(ratio) / fan_in if 0 < ratio < float("inf") else None for name, ratio in ratios.items()}


ALIGNMENT = MeasurementKind(
    name=Measured.ALIGNMENT,
    steps=along_the_run,
    look=lambda view: alignment_ratios(view.now(), view.init()),
    describe=_in_powers_of_fan_in,
)
