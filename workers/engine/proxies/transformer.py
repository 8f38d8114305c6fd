"""A decoder-only transformer: pre-norm, learned positions, no biases.

By default it is the model of Everett et al. 2024 at a small scale, on bytes: GeLU with d_ff = 4n, untied, norms without
gain. The head dimension stays fixed while the width grows by heads, so the attention scale is a constant and
every parameterization uses the same one. Three options:

- SwiGLU (Shazeer 2020, 2002.05202): down(silu(gate(x)) · up(x)), with a d_ff that keeps the number of weights;
- QK-norm (Henry et al. 2020, 2010.04245; Dehghani et al. 2023, 2302.05442): queries and keys of RMS 1 in each head,
  so a score is at most √head_dim;
- tied: the readout is the transpose of the embedding table, times its own forward multiplier.
"""

from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np

from widthwise.calibration.cost import VOCABULARY_SIZE, feed_forward_units, predictions
from widthwise.calibration.spec import ProxySpec
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Architecture, FeedForward, Role
from workers.engine.proxies.contract import Multipliers, Params, Proxy, Tape, TensorSpec, linear, look_up, rms_norm

MASKED = -1e30  # its exp is exactly 0 in float32, and there is no infinity that could turn into a NaN


def transformer(spec: ProxySpec, residual_multiplier: float = 1.0) -> Proxy:
    """The transformer of `spec`; it predicts every byte of a window from those before it.

    `tensor_shapes` raises InvalidInputError for a width that is not a multiple of the head dimension.
    """
    T, depth, head_dim = spec.sequence_length, spec.depth, spec.head_dim
    gated = spec.feed_forward is FeedForward.SWIGLU

    def tensor_shapes(width: int) -> dict[str, TensorSpec]:
        if width % head_dim:
            raise InvalidInputError(
                f"width {width} is not a multiple of the head dimension {head_dim}; give multiples of it",
                field="widths",
            )
        inner = feed_forward_units(width, spec.feed_forward, head_dim)
        tensors = {
            "embedding": TensorSpec((VOCABULARY_SIZE, width), (0,), (1,), Role.EMBEDDING),
            "positions": TensorSpec((T, width), (0,), (1,), Role.EMBEDDING),
        }
        for block in range(depth):
            for name in ("query", "key", "value", "output"):
                tensors[f"block_{block}.{name}"] = TensorSpec((width, width), (0,), (1,), Role.HIDDEN, in_block=True)
            for name in ("gate", "up") if gated else ("up",):
                tensors[f"block_{block}.{name}"] = TensorSpec((width, inner), (0,), (1,), Role.HIDDEN, in_block=True)
            tensors[f"block_{block}.down"] = TensorSpec((inner, width), (0,), (1,), Role.HIDDEN, in_block=True)
        if not spec.tied:
            tensors["readout"] = TensorSpec((width, VOCABULARY_SIZE), (0,), (1,), Role.READOUT)
        return tensors

    def apply(params: Params, multipliers: Multipliers, x_BxT: jax.Array, tape: Tape | None = None) -> jax.Array:
        B = x_BxT.shape[0]
        matrices = {**params, "readout": params["embedding"].T} if spec.tied else params

        # Positions share one axis R = B·T between attentions: XLA's CPU backend is three times as slow at the gradient
        # of a three-axis product (measured on jax 0.10.2, width 64: 9.0 against 2.6 ms).
        def product(name: str, h_RxI: jax.Array) -> jax.Array:
            return linear(name, matrices, multipliers, h_RxI, tape)

        def heads(name: str, h_RxN: jax.Array) -> jax.Array:
            return product(name, h_RxN).reshape(B, T, -1, head_dim).swapaxes(1, 2)

        def attention(block: str, h_RxN: jax.Array) -> jax.Array:
            query, key, value = (heads(f"{block}.{name}", h_RxN) for name in ("query", "key", "value"))
            if spec.qk_norm:
                query, key = rms_norm(query), rms_norm(key)
            mixed_BxHxTxD = _causal_attention(query, key, value)
            return product(f"{block}.output", mixed_BxHxTxD.swapaxes(1, 2).reshape(B * T, -1))

        def feed_forward(block: str, h_RxN: jax.Array) -> jax.Array:
            if gated:
                inner_RxF = jax.nn.silu(product(f"{block}.gate", h_RxN)) * product(f"{block}.up", h_RxN)
            else:
                inner_RxF = jax.nn.gelu(product(f"{block}.up", h_RxN))
            return product(f"{block}.down", inner_RxF)

        tokens_BxTxN = look_up("embedding", params, multipliers, x_BxT, tape)
        places_TxN = look_up("positions", params, multipliers, jnp.arange(T, dtype=np.int32), tape)
        h_RxN = (tokens_BxTxN + places_TxN[None]).reshape(B * T, -1)
        for block in range(depth):
            h_RxN = h_RxN + residual_multiplier * attention(f"block_{block}", rms_norm(h_RxN))
            h_RxN = h_RxN + residual_multiplier * feed_forward(f"block_{block}", rms_norm(h_RxN))
        return product("readout", rms_norm(h_RxN)).reshape(B, T, -1)

    return Proxy(
        architecture=Architecture.TRANSFORMER,
        sequence_length=T,
        predictions=predictions(Architecture.TRANSFORMER, T),
        tensor_shapes=tensor_shapes,
        apply=apply,
        tied={"readout": "embedding"} if spec.tied else {},
    )


def _causal_attention(query_BxHxTxD: jax.Array, key_BxHxTxD: jax.Array, value_BxHxTxD: jax.Array) -> jax.Array:
    T, head_dim = query_BxHxTxD.shape[2:]
    mask_TxS = jnp.where(jnp.tril(jnp.ones((T, T), dtype=bool)), 0.0, MASKED).astype(query_BxHxTxD.dtype)
    scores_BxHxTxS = (query_BxHxTxD / sqrt(head_dim)) @ key_BxHxTxD.swapaxes(2, 3) + mask_TxS[None, None]
    # A softmax that adds its mask and divides after the product: fewer passes over T·S numbers, 45 ms per step instead
    # of 63 (width 64, batch 32 × 64). The shift by the largest score cancels, so no gradient flows through it.
    shift_BxHxTx1 = jax.lax.stop_gradient(jnp.max(scores_BxHxTxS, axis=-1, keepdims=True))
    weights_BxHxTxS = jnp.exp(scores_BxHxTxS - shift_BxHxTx1)
    return (weights_BxHxTxS @ value_BxHxTxD) / jnp.sum(weights_BxHxTxS, axis=-1, keepdims=True)
