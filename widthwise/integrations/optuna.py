"""A sampler of Optuna that takes the next run of a `widthwise.Sweep`.

    sweep = Sweep(axes={"width": [64, 128, 256]}, learning_rates=(1e-4, 1e-1), ratio=2**0.5, target={"width": 4096})
    study = optuna.create_study(sampler=SweepSampler(sweep))
    study.optimize(objective, n_trials=60)  # ends when the sweep is done
    sweep.predict()

The objective suggests the learning rate and every axis by name, over ranges or choices that hold the sweep's, and
returns the loss: infinity if it diverged, since Optuna counts NaN as a failure. A trial that fails or is pruned says
nothing, and its run is not asked for again. Other parameters are sampled at random.
"""

import math
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import TrialPruned
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from widthwise.errors import InvalidInputError
from widthwise.sweeps import AskedRun, Sweep


class SweepSampler(BaseSampler):
    """Samples the learning rate and the axes of the run that a sweep asks for.

    learning_rate: the name of its parameter; the axes go by their names in the sweep.
    """

    def __init__(self, sweep: Sweep, *, learning_rate: str = "learning_rate", seed: int | None = None) -> None:
        self._sweep, self._learning_rate = sweep, learning_rate
        self._others = RandomSampler(seed)
        self._runs: dict[int, AskedRun] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: each parameter is sampled over the distribution that the objective names."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing, for the same reason."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the run's value. Raises `InvalidInputError` for a study to maximize and for a value out of range.

        Raises `TrialPruned` if there is no run to do.
        """
        if param_name != self._learning_rate and param_name not in self._sweep.target:
            return self._others.sample_independent(study, trial, param_name, param_distribution)
        run = self._run(study, trial)
        value = run.learning_rate if param_name == self._learning_rate else run.axes[param_name]
        if isinstance(param_distribution, CategoricalDistribution):
            value = next((choice for choice in param_distribution.choices if choice == value), value)
            held = value in param_distribution.choices
        else:
            held = param_distribution._contains(float(value))
        if not held:
            raise InvalidInputError(
                f"{param_name} is to be {value!r}, which {param_distribution} does not hold; suggest it over all "
                "values of the sweep",
                field=param_name,
            )
        return value

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell the sweep how the trial ended, and stop the study if the sweep is done."""
        run = self._runs.pop(trial.number, None)
        if run is None:
            return
        last = trial.intermediate_values.get(trial.last_step) if trial.last_step is not None else None
        if state == TrialState.COMPLETE and values:
            self._sweep.tell(run, values[0])
        elif state == TrialState.PRUNED and last is not None and not math.isfinite(last):
            self._sweep.tell(run, None)
        else:
            self._sweep.drop(run)
        if self._sweep.done:
            _stop(study)

    def _run(self, study: Study, trial: FrozenTrial) -> AskedRun:
        if study.direction != StudyDirection.MINIMIZE:
            raise InvalidInputError("the study maximizes; a sweep needs a loss, so create it with direction='minimize'")
        if trial.number not in self._runs:
            found = self._sweep.ask(1, worker=f"{study.study_name}, trial {trial.number}")
            if not found:
                _stop(study)
                raise TrialPruned(f"the sweep has no run left to do ({self._sweep.done or 'the rest are under way'})")
            self._runs[trial.number] = found[0]
        return self._runs[trial.number]


def _stop(study: Study) -> None:
    """End `study.optimize` after the trials under way; a loop of `study.ask` looks at `sweep.done` itself."""
    try:
        study.stop()
    except RuntimeError:
        return
