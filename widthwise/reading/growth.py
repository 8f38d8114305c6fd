"""Roles that the growth from base to target settles: what one size of a model looks like is not enough.

A matrix that reads the model's input is an embedding while the number of features that it reads is constant, and a
matrix whose output is the model's is a readout while the number of outputs is. If that number grows with the model,
both fans grow, and theory calls such a matrix hidden (Yang and Hu 2021, arXiv 2011.14522, section 3).
"""

from dataclasses import replace

from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Parameter, ParameterUse
from widthwise.vocabulary import Role

_Pair = tuple[int, int]  #: at the base and at the target

_MATRICES = frozenset({ParameterUse.CONTRACTION, ParameterUse.CONVOLUTION})


class Growth:
    """What two readings of a model say about the sizes that grow."""

    def __init__(self, base: ModelReading, target: ModelReading) -> None:
        self._width: _Pair | None = None
        if base.width is not None and target.width is not None:
            self._width = base.width, target.width
        self._entries = {
            (base.by_name[each.name].shape[axis], each.shape[axis])
            for each in target.parameters
            if each.use is ParameterUse.LOOKUP and each.name in base.by_name
            for axis in each.fan_in_axes
        }

    def settled(self, base: Parameter, target: Parameter) -> Parameter:
        """The target's parameter with the role that its growth settles, or with the question that it opens."""
        if target.use not in _MATRICES:
            return target
        if target.role is Role.EMBEDDING:
            features = base.fan_in, target.fan_in
            asked = "embedding if it reads one-hot rows, hidden if it reads features"
            return self._settled(target, features, "it reads what no matrix made, and its fan-in", asked)
        if target.role is Role.READOUT:
            outputs = base.fan_out, target.fan_out
            if outputs in self._entries:  # a vocabulary that grows is one still
                return target
            asked = "readout if these are classes or a vocabulary, hidden if they are features"
            return self._settled(target, outputs, "its output is the model's, and its fan-out", asked)
        return target

    def _settled(self, target: Parameter, sizes: _Pair, seen: str, asked: str) -> Parameter:
        if sizes[0] == sizes[1]:
            return target
        grows = f"{seen} changes from {sizes[0]} to {sizes[1]}"
        if sizes == self._width:
            return replace(target, role=Role.HIDDEN, evidence=(*target.evidence, f"{grows}, as the model's width does"))
        return replace(target, role=None, question=f"{grows}: {asked}")
