"""Where the guide explains a word: what the pages link their terms to. docs/glossary.md has a heading for each."""

from collections.abc import Mapping
from types import MappingProxyType

_GLOSSARY = "/guide/docs/glossary.html"
#: Each has a heading of its own there: the word in small letters, with hyphens.
_WORDS = """
    alignment ask-and-tell attention-scale axis base batch batch-rule beta block-size bound budget calibration
    cell coordinate-check degrees-of-freedom depth depth-rule digest divergence drift early-stopping edge
    embedding epsilon epsilon-rule experts exponent export extension extrapolation fan-in-and-fan-out
    finite-width-shift folding form forward-multiplier gamma gradient-rms group head-width hidden holdout
    horizon information-search init-std interval law layout learning-rate learning-rate-rule learnt mesh
    multiplier noise-scale octave optimizer optimum out-of-sample-error parameterization placement plan
    precision prediction prescribed provenance proxy published-law quantity rank raw-slope reading readout
    readout-omega regret role round rule runner saturation-batch scalar scatter schedule search seed shard
    shrinkage stack sweep target telescope text tied tokens training-length-rule transfer trial vector warning
    weight-decay weight-decay-mode weight-decay-rule width worker
"""
#: Words that are explained under another one.
_UNDER = {
    **dict.fromkeys(("standard", "ntk", "mup", "mean-field"), "parameterization"),
    **dict.fromkeys(("decoupled", "independent", "coupled"), "weight-decay-mode"),
    **dict.fromkeys(("trace", "model"), "reading"),
    **dict.fromkeys(("fan-in", "fan-out"), "fan-in-and-fan-out"),
    "architecture": "proxy",
    "ceiling": "prediction",
    "dataset": "text",
    "external": "runner",
    "grid": "search",
    "law-interval": "interval",
    "seeds": "seed",
    "shift": "finite-width-shift",
    "steps": "horizon",
    "tokens-rule": "training-length-rule",
}
#: By word: the address of its explanation.
TERMS: Mapping[str, str] = MappingProxyType(
    {word: f"{_GLOSSARY}#{anchor}" for word, anchor in {**{word: word for word in _WORDS.split()}, **_UNDER}.items()}
)
