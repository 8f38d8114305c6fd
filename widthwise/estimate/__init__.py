"""From losses to exponents: the optimum of a sweep, its power law over width, intervals and warnings.

Pure functions over arrays and records; scipy is loaded on the first fit. `import widthwise` does not load this.
"""

from widthwise.estimate.calibration import CalibrationResult, Drift, fit_calibration
from widthwise.estimate.candidate import Candidate
from widthwise.estimate.candidates import Candidates, Prediction, fit_candidates
from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.optimum import Optimum, fit_optimum
from widthwise.estimate.scaling import PowerLaw, fit_power_law
from widthwise.estimate.surface import Surface, surfaces_by_width
from widthwise.estimate.widths import WidthOptimum, fit_optima

__all__ = [
    "CalibrationResult",
    "Candidate",
    "Candidates",
    "Drift",
    "ExponentEstimate",
    "Optimum",
    "PowerLaw",
    "Prediction",
    "Surface",
    "WidthOptimum",
    "fit_calibration",
    "fit_candidates",
    "fit_optima",
    "fit_optimum",
    "fit_power_law",
    "surfaces_by_width",
]
