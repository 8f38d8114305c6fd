"""The words of the pages' lists: those of the library, with what a page calls each and says of it."""

from collections.abc import Mapping
from types import MappingProxyType

from service.store import CalibrationState
from widthwise.calibration.corpora import CORPORA
from widthwise.calibration.spec import DEFAULTS
from widthwise.explained import Explained
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.sweeps.run import FIELDS, NUMBER_AXES
from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import (
    AlignmentKind,
    AlignmentName,
    Architecture,
    EpsilonRule,
    ExponentQuantity,
    ExponentRole,
    FeedForward,
    Form,
    Layout,
    LearningRateRule,
    Measured,
    Optimizer,
    Parameterization,
    Runner,
    Search,
    WeightDecayMode,
)

#: By list of the form: the rules that it offers.
RULES: Mapping[str, About] = {
    "depth_rule": About.DEPTH,
    "batch_rule": About.BATCH,
    "tokens_rule": About.TOKENS,
    "schedule_rule": About.SCHEDULE,
    "experts_rule": About.EXPERTS,
    "rank_rule": About.RANK,
    "decay_rule": About.WEIGHT_DECAY,
}
#: By list of the form: the vocabulary whose words it explains when one is chosen.
EXPLAINED: Mapping[str, type[Explained]] = {
    "search": Search,
    "architecture": Architecture,
    "learning_rate_rule": LearningRateRule,
    "epsilon_rule": EpsilonRule,
}
MEANINGS: Mapping[str, Mapping[str, str]] = {
    **{name: {word.value: word.meaning for word in words} for name, words in EXPLAINED.items()},
    "quantity": {word.value: f"{word.meaning}, ∝ {word.law}" for word in ExponentQuantity},
}
#: Of each list of the form by its name: every word, with what the page calls it.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "parameterization": {word.value: word.meaning for word in Parameterization},
    "optimizer": {word.value: record.label for word, record in OPTIMIZERS.items()},
    "alignment": {word.value: word.value for word in AlignmentName},
    "layout": {word.value: word.meaning for word in Layout},
    "form": {word.value: word.value.replace("_", " ") for word in Form},
    "weight_decay_mode": {word.value: f"{word.value}: {word.meaning}" for word in WeightDecayMode},
    "quantity": {word.value: word.value.replace("_", " ") for word in ExponentQuantity},
    "exponent_role": {word.value: word.value for word in ExponentRole},
    "alignment_kind": {word.value: word.value for word in AlignmentKind},
    "proxy_architecture": {word.value: word.value for word in Architecture},
    **{name: {word: word.replace("_", " ") for word in BY_WORD[about]} for name, about in RULES.items()},
    "runner": {word.value: word.meaning for word in Runner},
    "measure": {word.value: word.meaning for word in Measured},
    **{name: {word.value: word.value.replace("_", " ") for word in words} for name, words in EXPLAINED.items()},
    "feed_forward": {word.value: word.value for word in FeedForward},
    "state": {word.value: word.value for word in CalibrationState},
    "dataset": CORPORA,
    "meaning": {word: word.replace("_", " ") for word in (*FIELDS, *NUMBER_AXES)},
}
CHOSEN = {Optimizer.ADAM.value}  # the words that the form begins with, where they are not the first of their list
#: Sizes that a rule reads at both ends, besides those that it covers.
READ: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "timescale": frozenset({"batch_tokens", "tokens"}),
        "power_lines": frozenset({"batch_tokens", "tokens", "parameters"}),
        "keep_steps": frozenset({"steps"}),
        "keep_share": frozenset({"steps"}),
    }
)
TICKED = frozenset(DEFAULTS.measure)  # of a list of which several may be ticked, those that are from the start
