"""A byte-level MLP language model: some bytes of context in, the next byte out.

T bytes → embedding 256 → n each → hidden T·n → n → `depth` residual hidden n → n → readout n → 256,
with GeLU and an RMS norm without gain after each hidden layer. It trains in seconds on one core and shows the theory.
"""

import jax

from widthwise.calibration.cost import VOCABULARY_SIZE, predictions
from widthwise.calibration.spec import ProxySpec
from widthwise.vocabulary import Architecture, Role
from workers.engine.proxies.contract import Multipliers, Params, Proxy, Tape, TensorSpec, linear, look_up, rms_norm


def mlp(spec: ProxySpec, residual_multiplier: float = 1.0) -> Proxy:
    """Return the MLP of `spec`; its context is `sequence_length` bytes, and it predicts one byte per window."""
    T, depth = spec.sequence_length, spec.depth

    def tensor_shapes(width: int) -> dict[str, TensorSpec]:
        tensors = {
            "embedding": TensorSpec((VOCABULARY_SIZE, width), (0,), (1,), Role.EMBEDDING),
            "context": TensorSpec((T * width, width), (0,), (1,), Role.HIDDEN),
        }
        for block in range(depth):
            tensors[f"block_{block}"] = TensorSpec((width, width), (0,), (1,), Role.HIDDEN, in_block=True)
        tensors["readout"] = TensorSpec((width, VOCABULARY_SIZE), (0,), (1,), Role.READOUT)
        return tensors

    def apply(params: Params, multipliers: Multipliers, x_BxT: jax.Array, tape: Tape | None = None) -> jax.Array:
        e_BxTN = look_up("embedding", params, multipliers, x_BxT, tape).reshape(x_BxT.shape[0], -1)
        h_BxN = rms_norm(jax.nn.gelu(linear("context", params, multipliers, e_BxTN, tape)))
        for block in range(depth):
            branch_BxN = jax.nn.gelu(linear(f"block_{block}", params, multipliers, h_BxN, tape))
            h_BxN = rms_norm(h_BxN + residual_multiplier * branch_BxN)
        logits_BxV = linear("readout", params, multipliers, h_BxN, tape)
        return logits_BxV[:, None, :]

    return Proxy(
        architecture=Architecture.MLP,
        sequence_length=T,
        predictions=predictions(Architecture.MLP, T),
        tensor_shapes=tensor_shapes,
        apply=apply,
    )
