"""The posterior of the law and the residual, by Newton's method and Laplace's approximation on a grid of (α, ω).

The optimum of cell c is x*_c = f_c + u_c with f = μ(θ) + α·F·ν, u_c ~ N(0, ω²): law, residual process, scatter of
single cells. For fixed α and ω the posterior of β = (θ, ν) is

    Σ_c log Σ_g L_c(g)·N(g; f_c, ω²) + log N(θ; prior) + log N(ν; 0, 1)

With q_c(g) ∝ L_c(g)·N(g; f_c, ω²), of mean E_c and variance V_c, the derivatives of a cell's term by f_c are
(E_c − f_c)/ω² and V_c/ω⁴ − 1/ω². Newton's method finds the mode, and the curvature H there gives the covariance H⁻¹ and
the weight of a pair (α, ω): exp(log posterior − ½·log |H|) times its prior (Rue, Martino and Chopin 2009, section 3).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from widthwise.sweeps.cell import Floats
from widthwise.sweeps.law import Law, LawAt
from widthwise.sweeps.residual import ResidualFeatures

ALPHAS = (0.02, 0.15, 0.3, 0.5)  # octaves, amplitude of the residual
OMEGAS = (0.8, 0.5, 0.32, 0.22, 0.15, 0.1, 0.05)  # octaves, scatter; from large, where the posterior is smoothest
ALPHA_PRIOR, OMEGA_PRIOR = 0.3, 0.2  # octaves, scales of half-normal priors (measured: .1 to .2 of scatter)
LEAST_ALPHA_STEP = 0.1  # the grid of α is logarithmic above this and linear below, and a weight is per step
LEAST_CURVATURE = 1e-4  # of a cell's term, relative to 1/ω²: keeps H positive definite where a curve has two minima
SATURATION_STARTS = (-1.5, 0.0, 1.5)  # octaves added to c₀'s prior mean: the turn may be seen at either end
LEAST_WEIGHT = 1e-4  # of a component that is kept (chosen): fewer make predictions faster
MODES = 2  # the best distinct ones are kept
STEPS, HALVINGS = 40, 10  # of Newton's method (chosen: most take five)
CLOSE = 1e-3  # octaves: a step that moves no cell by more ends the search
DISTINCT = 0.1  # octaves: two modes that differ by less at every cell are one


@dataclass(frozen=True)
class SweepData:
    """What the posterior depends on."""

    law: Law
    at_cells: LawAt
    features: ResidualFeatures
    grid: Floats  #: (G,), x
    log_likelihood: Floats  #: (C, G), log L


@dataclass(frozen=True)
class Component:
    """The posterior at one pair (α, ω): normal about its mode."""

    alpha: float
    omega: float
    theta: Floats  #: (T,)
    nu: Floats  #: (R,)
    covariance: Floats  #: of (θ, ν), (T + R, T + R)
    weight: float  #: in the mixture; they sum to 1
    centre: Floats  #: (C,), f at the cells
    gradient: Floats  #: (C,), of each cell's term by f
    curvature: Floats  #: (C,), minus the second derivative
    design: Floats  #: (C, T + R), derivatives of f by (θ, ν)

    def row(self, jacobian_T: Floats, feature_R: Floats) -> Floats:
        """Return the derivatives of f by (θ, ν) at a place, (T + R,)."""
        return np.concatenate([jacobian_T, self.alpha * feature_R])


@dataclass(frozen=True)
class _Terms:
    """The cells' terms at some f."""

    log: Floats  #: (C,)
    mean: Floats  #: (C,), E
    variance: Floats  #: (C,), V


def fit_posterior(data: SweepData) -> tuple[Component, ...]:
    """Return the components of the mixture, negligible ones left out."""
    found: list[tuple[float, Component]] = []
    for alpha in ALPHAS:
        modes = list(_starts(data))
        for omega in OMEGAS:
            fitted = [_newton(data, alpha, omega, theta, nu) for theta, nu in modes]
            best = _distinct(fitted)
            modes = [(component.theta, component.nu) for _, component in best]
            found += best
    top = max(log_weight for log_weight, _ in found)
    weights = np.exp([log_weight - top for log_weight, _ in found])
    weights /= weights.sum()
    kept = [(w, c) for w, (_, c) in zip(weights, found, strict=True) if w > LEAST_WEIGHT]
    total = sum(w for w, _ in kept)
    return tuple(replace(component, weight=float(weight / total)) for weight, component in kept)


def _starts(data: SweepData) -> Iterator[tuple[Floats, Floats]]:
    """Return the points that Newton's method starts from."""
    nothing = np.zeros(data.features.at_cells.shape[1])
    names = [term.name for term in data.law.terms]
    if not data.law.saturates:
        yield data.law.prior_mean, nothing
        return
    for step in SATURATION_STARTS:
        theta = data.law.prior_mean
        theta[names.index("saturation_batch")] += step
        yield theta, nothing


def _distinct(fitted: Sequence[tuple[float, Component]]) -> list[tuple[float, Component]]:
    """Return the best modes that differ."""
    kept: list[tuple[float, Component]] = []
    for log_weight, component in sorted(fitted, key=lambda pair: -pair[0]):
        if all(np.abs(component.centre - other.centre).max() > DISTINCT for _, other in kept):
            kept.append((log_weight, component))
    return kept[:MODES]


def _terms(data: SweepData, centre_C: Floats, omega: float) -> _Terms:
    """Return log Σ_g L_c(g)·N(g; f_c, ω²) with the mean and variance of q_c, for every cell."""
    away_CxG = data.grid - centre_C[:, None]
    square_CxG = away_CxG**2
    log_CxG = data.log_likelihood - square_CxG / (2 * omega**2)
    top_C = log_CxG.max(axis=1)
    q_CxG = np.exp(log_CxG - top_C[:, None])
    sum_C = q_CxG.sum(axis=1)
    shift_C = np.einsum("cg,cg->c", q_CxG, away_CxG) / sum_C
    square_C = np.einsum("cg,cg->c", q_CxG, square_CxG) / sum_C
    return _Terms(top_C + np.log(sum_C) - math.log(omega), centre_C + shift_C, square_C - shift_C**2)


def _newton(data: SweepData, alpha: float, omega: float, theta: Floats, nu: Floats) -> tuple[float, Component]:
    """Return the log weight and the component of the mode that Newton's method finds from a start."""
    mean_T, precision_T = data.law.prior_mean, data.law.prior_sd**-2
    feature_CxR = alpha * data.features.at_cells

    def evaluated(theta: Floats, nu: Floats) -> tuple[float, Floats, Floats, _Terms]:
        centre_C, jacobian_CxT = data.at_cells(theta)
        centre_C = centre_C + feature_CxR @ nu
        terms = _terms(data, centre_C, omega)
        prior = float(precision_T @ (theta - mean_T) ** 2 + nu @ nu) / 2
        return float(terms.log.sum()) - prior, centre_C, np.hstack([jacobian_CxT, feature_CxR]), terms

    log_post, centre_C, design_CxB, terms = evaluated(theta, nu)
    for _ in range(STEPS):
        gradient_C, curvature_C = _derivatives(terms, centre_C, omega)
        hessian = _hessian(design_CxB, curvature_C, precision_T)
        slope = design_CxB.T @ gradient_C - np.concatenate([precision_T * (theta - mean_T), nu])
        step = np.linalg.solve(hessian, slope)
        moved = float(np.abs(design_CxB @ step).max())
        for _ in range(HALVINGS):
            tried = theta + step[: theta.size], nu + step[theta.size :]
            after = evaluated(*tried)
            if after[0] >= log_post:
                break
            step = step / 2
        else:
            break  # no step is better: this is the mode up to rounding
        (theta, nu), (log_post, centre_C, design_CxB, terms) = tried, after
        if moved < CLOSE:
            break
    gradient_C, curvature_C = _derivatives(terms, centre_C, omega)
    hessian = _hessian(design_CxB, curvature_C, precision_T)
    log_prior = -((omega / OMEGA_PRIOR) ** 2 + (alpha / ALPHA_PRIOR) ** 2) / 2
    log_prior += math.log(omega) + math.log(max(alpha, LEAST_ALPHA_STEP))
    log_weight = log_post - float(np.linalg.slogdet(hessian)[1]) / 2 + log_prior
    return log_weight, Component(
        alpha,
        omega,
        theta,
        nu,
        np.asarray(np.linalg.inv(hessian), dtype=np.float64),
        1.0,
        centre_C,
        gradient_C,
        curvature_C,
        design_CxB,
    )


def _derivatives(terms: _Terms, centre_C: Floats, omega: float) -> tuple[Floats, Floats]:
    """Return the gradient of each cell's term by f and minus its second derivative."""
    curvature_C = 1 / omega**2 - terms.variance / omega**4
    return (terms.mean - centre_C) / omega**2, np.maximum(curvature_C, LEAST_CURVATURE / omega**2)


def _hessian(design_CxB: Floats, curvature_C: Floats, precision_T: Floats) -> Floats:
    """Return minus the second derivatives of the log posterior by (θ, ν)."""
    hessian = (design_CxB.T * curvature_C) @ design_CxB
    prior = np.concatenate([precision_T, np.ones(design_CxB.shape[1] - precision_T.size)])
    return np.asarray(hessian + np.diag(prior))
