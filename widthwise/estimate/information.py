"""What a planned run is expected to tell about the optimum at a target, for sweeps and calibrations alike.

A cell is a place whose runs differ in the learning rate and the seed alone: a width, or a combination of axes.

**About its own cell.** Under the curve shape all cells share (`shape.py`) a cell's losses depend on its optimum x*, its
level m, its curvature κ and its skew s. With u the derivatives of the loss by (x*, m, log κ, s) at a rate,

    u = (−κ·φ′(t), 1, κ·φ(t), κ·∂φ/∂s),    t = x − x*,    1/w = σ²·h²/n + (τ·κ·φ)²

the Fisher information of a set of runs is J = Σ w·u·uᵀ + diag(0, 0, 1/ν², 1/υ²), the last term from what all cells say
about κ and s. What it says about x* alone is the Schur complement I = J_xx − J_xn·J_nn⁻¹·J_nx. A rate so far above x*
that its run would be read as diverged adds nothing. x* is not known: I is taken at several values of its present
distribution.

**About the target.** For each component (α, ω) of the posterior, the optima of all places are jointly normal with

    K = D·Σ_θ·Dᵀ + α²·R + ω²·1

D being the law's design, Σ_θ the prior of its parameters, R the residual's correlation. Runs of information I_c in each
cell leave C = (K⁻¹ + diag(I))⁻¹. Information ΔI more in cell c lowers the variance at the target t by

    ΔI·C_tc² / (1 + ΔI·C_cc)

(the rank-one update of a normal distribution: Rasmussen and Williams 2006, eq. A.9). The mean of this over the values
of x* and over the components is the gain of a plan; plans are compared by their gain per cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from widthwise.estimate.shape import CurveShape, Floats, phi, phi_derivatives

#: Values of x* in standard deviations, of equal probability: the middles of seven parts of a normal distribution.
QUANTILES = np.array([-1.4652, -0.7916, -0.3661, 0.0, 0.3661, 0.7916, 1.4652])
VAGUE = 1e-9  # of the level's prior, relative to one run's information: keeps a cell without runs regular


@dataclass(frozen=True)
class CurveInformation:
    """What runs at each rate of a cell say about (x*, m, log κ, s), at several values of x*."""

    squares: NDArray[np.float64]  #: (L, G, 4, 4), u·uᵀ of each rate
    misfit: Floats  #: (L, G), (τ·κ·φ)²; infinite where a run would diverge
    noise: float  #: σ²·h²
    prior: NDArray[np.float64]  #: (4, 4)

    def about_optimum(self, counts_DxL: Floats) -> Floats:
        """Return the information about x*, (D, G), of D sets of runs: so many at each rate."""
        count_DxLx1 = counts_DxL[:, :, None]
        variance_DxLxG = self.noise / np.maximum(count_DxLx1, 1) + self.misfit
        weight_DxLxG = np.where(count_DxLx1 > 0, 1 / variance_DxLxG, 0.0)
        all_DxGx4x4 = np.einsum("dlg,lgij->dgij", weight_DxLxG, self.squares) + self.prior
        across_DxGx3 = all_DxGx4x4[..., 0, 1:]
        nuisance_DxGx3 = np.linalg.solve(all_DxGx4x4[..., 1:, 1:], across_DxGx3[..., None])[..., 0]
        return np.asarray(np.maximum(all_DxGx4x4[..., 0, 0] - (across_DxGx3 * nuisance_DxGx3).sum(axis=-1), 0.0))


def curve_information(
    x_L: Floats, optimum_G: Floats, shape: CurveShape, *, noise: float, lost: float
) -> CurveInformation:
    """Return the information of runs at some rates.

    noise: variance of one run's loss, σ²·h². lost: the rise in nats from which on a run is read as diverged.
    """
    t_LxG = x_L[:, None] - optimum_G
    s, kappa = shape.skew, shape.curvature
    t_LxG = np.minimum(t_LxG, 40.0 / max(abs(s), 1.0))  # far beyond divergence: only keeps exp in range
    phi_LxG = phi(t_LxG, s)
    first_LxG, by_s_LxG = phi_derivatives(t_LxG, s)
    rise_LxG = kappa * phi_LxG
    u_LxGx4 = np.stack([-kappa * first_LxG, np.ones_like(rise_LxG), rise_LxG, kappa * by_s_LxG], axis=-1)
    lost_LxG = rise_LxG > lost
    u_LxGx4[lost_LxG] = 0.0
    prior = np.diag([0.0, VAGUE / noise, shape.curvature_spread**-2, shape.skew_spread**-2])
    return CurveInformation(
        u_LxGx4[..., :, None] * u_LxGx4[..., None, :],
        np.where(lost_LxG, np.inf, (shape.misfit * rise_LxG) ** 2),
        noise,
        prior,
    )


@dataclass(frozen=True)
class JointPrior:
    """The optima of P places before any run, under one component (α, ω) or one law of several."""

    weight: float
    covariance: Floats  #: K, (P, P)


def covariance_after(prior: JointPrior, information_P: Floats) -> Floats:
    """Return C = (K⁻¹ + diag(I))⁻¹, (P, P), without inverting K, which may be singular."""
    root_P = np.sqrt(information_P)
    inner_PxP = np.eye(root_P.size) + root_P[:, None] * prior.covariance * root_P
    right_PxP = np.linalg.solve(inner_PxP, root_P[:, None] * prior.covariance)
    return np.asarray(prior.covariance - (prior.covariance * root_P) @ right_PxP)


@dataclass(frozen=True)
class TargetVariance:
    """The variance at a target after the runs so far, and what more information would leave of it."""

    weights: Floats  #: (M,), of the components
    variances: Floats  #: (M,), C_tt
    shared: Floats  #: (M, P), C_tc
    own: Floats  #: (M, P), C_cc

    @property
    def mean(self) -> float:
        """The variance, on average over the components."""
        return float(self.weights @ self.variances)

    def gain(self, cell: int, added_DxG: Floats) -> Floats:
        """Return by how much information ΔI in a cell lowers the variance, (D,): the mean over x* and components."""
        added_MxDxG = added_DxG[None]
        shared_M, own_M = self.shared[:, cell, None, None], self.own[:, cell, None, None]
        return np.asarray(
            self.weights @ (added_MxDxG * shared_M**2 / (1 + added_MxDxG * own_M)).mean(axis=-1), dtype=np.float64
        )


def target_variance(priors: Sequence[JointPrior], information_P: Floats, target: int) -> TargetVariance:
    """Return the variance at place `target` after runs of some information about the optimum of each place."""
    after = [covariance_after(prior, information_P) for prior in priors]
    return TargetVariance(
        np.array([prior.weight for prior in priors]),
        np.array([C_PxP[target, target] for C_PxP in after]),
        np.array([C_PxP[target] for C_PxP in after]),
        np.array([np.diag(C_PxP) for C_PxP in after]),
    )
