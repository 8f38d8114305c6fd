"""Learning-rate sweeps over any axes: the optimum of every cell, one law over all of them, and predictions.

Pure numpy and scipy. `import widthwise` does not load this. `runs_from_rows` reads a table, `fit_sweep` fits it, and
`SweepFit.predict` predicts a cell that was not run. `Sweep` says which run to do next. docs/sweeps.md has the model and
how to read its results.
"""

from widthwise.sweeps.asking import Sweep
from widthwise.sweeps.estimates import LawEstimate
from widthwise.sweeps.fit import SweepFit, fit_sweep
from widthwise.sweeps.ledger import AskedRun
from widthwise.sweeps.optimum import CellOptimum
from widthwise.sweeps.prediction import SweepPrediction
from widthwise.sweeps.run import SweepRun, runs_from_rows

__all__ = [
    "AskedRun",
    "CellOptimum",
    "LawEstimate",
    "Sweep",
    "SweepFit",
    "SweepPrediction",
    "SweepRun",
    "fit_sweep",
    "runs_from_rows",
]
