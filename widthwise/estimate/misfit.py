"""Whether optima scatter about a law by more than their own errors explain."""

MISFIT_PROBABILITY = 0.01  # chosen: how unlikely a scatter must be under the stated errors to be reported


def misfits(lack_of_fit: float | None, degrees_of_freedom: int) -> bool:
    """Return whether χ²/dof = `lack_of_fit` is less likely than MISFIT_PROBABILITY if the stated errors are right.

    None (zero degrees of freedom) is not a misfit.

    >>> misfits(1.0, 2), misfits(5.0, 2), misfits(None, 0)
    (False, True, False)
    """
    from scipy.special import chdtrc

    if lack_of_fit is None:
        return False
    return float(chdtrc(degrees_of_freedom, degrees_of_freedom * lack_of_fit)) < MISFIT_PROBABILITY
