"""A byte-level MLP language model: some bytes of context in, the next byte out.

T bytes → embedding 256 → n each → hidden T·n → n → `depth` residual hidden n → n → readout n → 256,
with GeLU and an RMS norm without gain after each hidden layer. It trains in seconds on one core and shows the theory.
"""

import jax

from widthwise.calibration.cost import VOCABULARY_SIZE, predictions
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Role
from workers.engine.proxies.contract import Multipliers, Params, Proxy, Tape, TensorSpec, linear, look_up, rms_norm
from workers.engine.specification import ProxySpec


def mlp(spec: ProxySpec) -> Proxy:
    """The MLP of `spec`; its context is `sequence_length` bytes, it predicts one byte a window.

    Raises InvalidInputError for an option that only the transformer has.
    """
    for option, plain in (("feed_forward", "gelu"), ("qk_norm", False), ("tied", False)):
        if getattr(spec, option) != plain:
            raise InvalidInputError(
                f"proxy.{option} is {getattr(spec, option)!r}, and the mlp has no such option; leave it out, or take "
                "architecture 'transformer'",
                field=f"proxy.{option}",
            )
    T, depth = spec.sequence_length, spec.depth

    def tensor_shapes(width: int) -> dict[str, TensorSpec]:
        tensors = {
            "embedding": TensorSpec((VOCABULARY_SIZE, width), (0,), (1,), Role.EMBEDDING),
            "context": TensorSpec((T * width, width), (0,), (1,), Role.HIDDEN),
        }
        for block in range(depth):
            tensors[f"block_{block}"] = TensorSpec((width, width), (0,), (1,), Role.HIDDEN)
        tensors["readout"] = TensorSpec((width, VOCABULARY_SIZE), (0,), (1,), Role.READOUT)
        return tensors

    def apply(params: Params, multipliers: Multipliers, x_BxT: jax.Array, tape: Tape | None = None) -> jax.Array:
        e_BxTN = look_up("embedding", params, multipliers, x_BxT, tape).reshape(x_BxT.shape[0], -1)
        h_BxN = rms_norm(jax.nn.gelu(linear("context", params, multipliers, e_BxTN, tape)))
        for block in range(depth):
            h_BxN = rms_norm(h_BxN + jax.nn.gelu(linear(f"block_{block}", params, multipliers, h_BxN, tape)))
        logits_BxV = linear("readout", params, multipliers, h_BxN, tape)
        return logits_BxV[:, None, :]

    return Proxy(
        architecture="mlp",
        sequence_length=T,
        predictions=predictions("mlp", T),
        tensor_shapes=tensor_shapes,
        apply=apply,
    )
