"""Learning-rate sweeps over any axes: the optimum of every cell, one law over all of them, and predictions.

Pure numpy and scipy. `import widthwise` does not load this. `runs_from_rows` reads a table, `fit_sweep` fits it, and
`SweepFit.predict` predicts a cell that was not run. docs/sweeps.md has the model and how to read its results.
"""

from widthwise.sweeps.estimates import LawEstimate
from widthwise.sweeps.fit import SweepFit, fit_sweep
from widthwise.sweeps.optimum import CellOptimum
from widthwise.sweeps.prediction import SweepPrediction
from widthwise.sweeps.run import SweepRun, runs_from_rows

__all__ = [
    "CellOptimum",
    "LawEstimate",
    "SweepFit",
    "SweepPrediction",
    "SweepRun",
    "fit_sweep",
    "runs_from_rows",
]
