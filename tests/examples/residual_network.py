"""A residual network in numpy whose width and feed-forward are chosen apart: its activations and gradients at init.

One-hot tokens x, embedding E, blocks that add D relu(U norm(h) + u), readout R on norm(h), softmax cross-entropy:

    h_0 = m_E E[x];   h_(k+1) = h_k + m_D D_k relu(m_U U_k (g_k ⊙ rms(h_k)) + u_k);   logits = m_R R (g ⊙ rms(h_L))

with m the forward multipliers.  Gradients are derived by hand below; a test holds them against finite differences.
Letters: B batch, V tokens, D width, F feed-forward.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BLOCKS = 2
TOKENS = 32


class Weight(NamedTuple):
    """One matrix (out, in) with its forward multiplier, or a vector."""

    array: Array
    multiplier: float = 1.0


Weights = dict[str, Weight]


@dataclass(frozen=True)
class Pass:
    """What one forward and backward pass shows."""

    loss: float
    stream: Array  #: h_L, (B, D)
    hidden: list[Array]  #: pre-activations of the blocks, (B, F) each
    branches: list[Array]  #: what each block adds, (B, D)
    gradients: dict[str, Array]  #: of the mean loss, by weight


def normalise(h_BxD: Array) -> tuple[Array, Array]:
    """h over its RMS, and that RMS."""
    rms = np.sqrt(np.mean(h_BxD**2, axis=1, keepdims=True))
    return h_BxD / rms, rms


def normalise_back(d_BxD: Array, z_BxD: Array, rms_Bx1: Array) -> Array:
    """Gradient through `normalise`: what lies along z is lost."""
    along: Array = np.mean(d_BxD * z_BxD, axis=1, keepdims=True)
    back: Array = (d_BxD - z_BxD * along) / rms_Bx1
    return back


def run(weights: Weights, x_B: npt.NDArray[np.int64], y_B: npt.NDArray[np.int64]) -> Pass:
    """Loss, activations and gradients for tokens x and their next tokens y."""
    batch = len(x_B)
    h = weights["embedding"].multiplier * weights["embedding"].array[:, x_B].T
    saved, hidden, branches = [], [], []
    for k in range(BLOCKS):
        up, down = weights[f"{k}.up"], weights[f"{k}.down"]
        z, rms = normalise(h)
        n = weights[f"{k}.gain"].array * z
        pre = up.multiplier * n @ up.array.T + weights[f"{k}.bias"].array
        active = np.maximum(pre, 0)
        branch = down.multiplier * active @ down.array.T
        saved.append((z, rms, n, pre, active))
        hidden.append(pre)
        branches.append(branch)
        h = h + branch
    readout = weights["readout"]
    z, rms = normalise(h)
    n = weights["gain"].array * z
    logits = readout.multiplier * n @ readout.array.T
    logits -= logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    loss = float(-np.mean(log_p[np.arange(batch), y_B]))

    gradients: dict[str, Array] = {}
    d_logits = np.exp(log_p)
    d_logits[np.arange(batch), y_B] -= 1
    d_logits /= batch
    gradients["readout"] = readout.multiplier * d_logits.T @ n
    d_n = readout.multiplier * d_logits @ readout.array
    gradients["gain"] = np.sum(d_n * z, axis=0)
    d_h = normalise_back(d_n * weights["gain"].array, z, rms)
    for k in reversed(range(BLOCKS)):
        up, down = weights[f"{k}.up"], weights[f"{k}.down"]
        z, rms, n, pre, active = saved[k]
        gradients[f"{k}.down"] = down.multiplier * d_h.T @ active
        d_pre = down.multiplier * (d_h @ down.array) * (pre > 0)
        gradients[f"{k}.bias"] = np.sum(d_pre, axis=0)
        gradients[f"{k}.up"] = up.multiplier * d_pre.T @ n
        d_n = up.multiplier * d_pre @ up.array
        gradients[f"{k}.gain"] = np.sum(d_n * z, axis=0)
        d_h = d_h + normalise_back(d_n * weights[f"{k}.gain"].array, z, rms)
    d_embedding = np.zeros_like(weights["embedding"].array)
    np.add.at(d_embedding.T, x_B, weights["embedding"].multiplier * d_h)
    gradients["embedding"] = d_embedding
    return Pass(loss, h, hidden, branches, gradients)
