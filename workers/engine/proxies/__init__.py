"""Small language models whose width can be any multiple of a step; `build_proxy` finds one by its architecture."""

from collections.abc import Callable, Mapping

from widthwise.calibration.spec import ProxySpec
from widthwise.vocabulary import Architecture
from workers.engine.proxies.contract import Proxy
from workers.engine.proxies.mlp import mlp
from workers.engine.proxies.transformer import transformer

ARCHITECTURES: Mapping[Architecture, Callable[[ProxySpec], Proxy]] = {
    Architecture.MLP: mlp,
    Architecture.TRANSFORMER: transformer,
}


def build_proxy(spec: ProxySpec) -> Proxy:
    """Return the proxy that `spec` describes."""
    return ARCHITECTURES[spec.architecture](spec)
