"""Small language models whose width can be any multiple of a step; `build_proxy` finds one by its architecture."""

from collections.abc import Callable, Mapping

from widthwise.calibration.spec import ProxySpec
from widthwise.vocabulary import Architecture
from workers.engine.proxies.contract import Proxy
from workers.engine.proxies.mlp import mlp
from workers.engine.proxies.transformer import transformer

ARCHITECTURES: Mapping[Architecture, Callable[[ProxySpec, float], Proxy]] = {
    Architecture.MLP: mlp,
    Architecture.TRANSFORMER: transformer,
}


def build_proxy(spec: ProxySpec, residual_multiplier: float = 1.0) -> Proxy:
    """Return the proxy that `spec` describes; every residual branch is multiplied by `residual_multiplier`."""
    return ARCHITECTURES[spec.architecture](spec, residual_multiplier)
