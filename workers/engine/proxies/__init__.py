"""Small language models whose width can be any multiple of a step; `build_proxy` finds one by its architecture."""

from widthwise.errors import InvalidInputError
from workers.engine.proxies.contract import Proxy
from workers.engine.proxies.mlp import mlp
from workers.engine.proxies.transformer import transformer
from workers.engine.specification import ProxySpec

ARCHITECTURES = {"mlp": mlp, "transformer": transformer}


def build_proxy(spec: ProxySpec) -> Proxy:
    """The proxy that `spec` describes; raises InvalidInputError that lists the known architectures."""
    if spec.architecture not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise InvalidInputError(
            f"there is no proxy architecture {spec.architecture!r}; the known ones are {known}",
            field="proxy.architecture",
        )
    return ARCHITECTURES[spec.architecture](spec)
