"""The sweep engine: small proxies trained on real text, one trial after another.

It imports only jax, numpy, scipy, optax and `widthwise`, so that it runs wherever JAX can be installed.
"""
