"""The words that appear in every interface: of the field, and of what is measured and stored."""

from enum import StrEnum
from typing import Literal, Self, TypeAlias, TypeVar, get_args

from widthwise.errors import InvalidInputError
from widthwise.explained import Explained
from widthwise.theory.optimizers import Optimizer as Optimizer  # noqa: PLC0414  a re-export; it is next to its records
from widthwise.theory.optimizers import WeightDecayMode as WeightDecayMode  # noqa: PLC0414


class Role(StrEnum):
    """What a tensor does for width: which of its two fan axes grow with the model."""

    EMBEDDING = "embedding"  #: fan-in fixed, fan-out grows (token and position tables, first layer)
    HIDDEN = "hidden"  #: fan-in and fan-out are widths of the model
    READOUT = "readout"  #: fan-in grows, fan-out fixed (language-model head, classifier)
    VECTOR = "vector"  #: one growing axis and no fan-in (norm gains, biases)
    SCALAR = "scalar"  #: no growing axis (logit biases, per-head-dim gains, temperatures)


class TensorPart(StrEnum):
    """What a tensor is within experts, a low-rank adapter or a state space, where its role does not say enough."""

    ROUTER = "router"  #: its output chooses experts
    EXPERT_UP = "expert_up"  #: takes the stream into a routed or shared expert, gates too
    EXPERT_DOWN = "expert_down"  #: returns what a routed or shared expert adds to the stream
    LORA_A = "lora_a"  #: the factor of an adapter that reads the input: rank × fan-in
    LORA_B = "lora_b"  #: the factor that adds to the output: fan-out × rank
    STATE_SPACE = "state_space"  #: a matrix into, within or out of a state-space mixer such as Mamba's


class Parameterization(Explained):
    """The four parameterizations of Everett et al. 2024, Table 1, with their usual spelling."""

    STANDARD = "standard", "standard"
    NTK = "ntk", "NTK"
    MUP = "mup", "muP"
    MEAN_FIELD = "mean_field", "mean-field"


class Layout(Explained):
    """Axis order of the 2-D tensors that name no fan axes."""

    OUT_IN = "out_in", "PyTorch Linear"
    IN_OUT = "in_out", "JAX and flax kernels, GPT-2's Conv1D"


class Form(StrEnum):
    """Which of muP's published, exactly equivalent forms to answer in (Tensor Programs V, 2203.03466)."""

    TABLE_9 = "table_9"  #: √n on the embedding, 1/√n on the readout (also Everett et al. 2024)
    TABLE_8 = "table_8"  #: 1/n multiplier on the readout (the `mup` package)
    TABLE_3 = "table_3"  #: no multipliers, readout init variance 1/n²


#: The quantities of a plan. Plain strings: hashing a member of an enumeration takes ten times as long, and a large
#: model's plan looks up thousands.
QuantityName: TypeAlias = Literal[
    "learning_rate", "epsilon", "init_std", "forward_multiplier", "weight_decay", "gradient_rms"
]
QUANTITIES: tuple[QuantityName, ...] = get_args(QuantityName)


class AlignmentName(Explained):
    """The alignments that have a name, with their (α, ω, u)."""

    FULL = "full", "(1, ½, 1)"
    NONE = "none", "(½, ½, ½)"


class AlignmentKind(StrEnum):
    """Under which alignment an exponent is stored."""

    FULL = AlignmentName.FULL.value
    NONE = AlignmentName.NONE.value
    MEASURED = "measured"  #: the specification gave exponents by role


class Runner(Explained):
    """Who trains the models of a calibration."""

    WORKER = "worker", "this service trains"
    EXTERNAL = "external", "you train, upload the trials and finish"


class Search(Explained):
    """How the learning rates are searched."""

    TELESCOPE = (
        "telescope",
        "all of them at the smallest width, then three, two meshes apart, around the prediction at each next one, with "
        "more than half of the seeds",
    )
    GRID = "grid", "all of them at every width"
    INFORMATION = (
        "information",
        "an octave apart at the smallest width, then what narrows the prediction at the target width most per "
        "operation, until it is precise enough or the budget is spent",
    )


class SearchEnd(Explained):
    """Why an information search ended."""

    PRECISION = "precision", "the prediction at the target width is as precise as was asked"
    BUDGET = "budget", "no further run that helps is within the budget"
    NOTHING_LEFT = "nothing_left", "no further run at these widths would make the prediction noticeably more precise"


class LearningRateRule(Explained):
    """Which learning rate each tensor trains with."""

    PER_LAYER = "per_layer", "the base one times what theory prescribes for it"
    GLOBAL = "global", "one for every tensor at every width, as most people train"


class EpsilonRule(Explained):
    """Which epsilon each tensor trains with."""

    PER_LAYER = "per_layer", "the base one times what theory prescribes for it"
    CONSTANT = "constant", "the same for every tensor at every width"


class Architecture(Explained):
    """Which small model a calibration trains."""

    MLP = "mlp", "a byte-level language model on a few bytes of context, seconds a run"
    TRANSFORMER = "transformer", "decoder-only, byte-level"


class FeedForward(StrEnum):
    """What the transformer's feed-forward part computes."""

    GELU = "gelu"
    SWIGLU = "swiglu"


class Measured(Explained):
    """What a calibration can measure."""

    LEARNING_RATE = "learning_rate", "the best learning rate of each width"
    GAMMA = "gamma", "γ, the learning rate's multiplier by role"
    EPSILON = "epsilon", "gradients, for epsilon"
    ALIGNMENT = "alignment", "alignment"
    COORDINATES = "coordinates", "the coordinate check"
    HORIZON = "horizon", "the best learning rate over horizons"


#: Each from one run a width and seed, without a sweep.
MEASURED_BY_RUNS = (Measured.EPSILON, Measured.ALIGNMENT, Measured.COORDINATES)


class ShardKind(StrEnum):
    """What the runs of a shard vary, or that they measure."""

    SWEEP = "sweep"
    GAMMA = "gamma"
    HORIZON = "horizon"
    MEASURE = "measure"


class TrialStatus(StrEnum):
    """How a training run ended; only `completed` has a loss."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    STOPPED = "stopped"  #: early, since it could not come near the best
    FAILED = "failed"


class Outcome(StrEnum):
    """How a claim of a shard ended, as its worker sees it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  #: this attempt; the store decides whether another follows
    CANCELLED = "cancelled"
    RELEASED = "released"  #: given back, since the worker is to stop
    LOST = "lost"  #: another worker has the shard, or the database can't be reached for longer than the lease


class ExponentQuantity(StrEnum):
    """What a stored exponent is of, and the sign of its value: most fall with the width, some do not."""

    meaning: str  #: what scales
    law: str  #: how it scales with the value that is stored

    def __new__(cls, word: str, meaning: str, law: str) -> Self:
        """A member with its word, its meaning and its law."""
        member = str.__new__(cls, word)
        member._value_, member.meaning, member.law = word, meaning, law
        return member

    LEARNING_RATE = (
        "learning_rate",
        "the best learning rate of the role's tensors, where one sweep moves those of all roles alike",
        "width^(−value)",
    )
    LEARNING_RATE_BY_ROLE = (
        "learning_rate_by_role",
        "the best learning rate of the role's tensors, from a sweep of their own γ",
        "width^(−value)",
    )
    LEARNING_RATE_OVER_TOKENS = (
        "learning_rate_over_tokens",
        "the best learning rate of the model, over the tokens that it is trained on",
        "tokens^(−value)",
    )
    MAX_STABLE_LEARNING_RATE = (
        "max_stable_learning_rate",
        "the largest stable learning rate of the role's tensors under the alignment that was measured",
        "width^(−value)",
    )
    EPSILON = (
        "epsilon",
        "the RMS of the gradients of the role's tensors, which epsilon has to follow",
        "width^(−value)",
    )
    ALPHA = (
        "alpha",
        "how large ΔW z is compared with its factors, the weights' update and the initial activations (α)",
        "width^value",
    )
    OMEGA = (
        "omega",
        "how large W Δz is compared with its factors, the initial weights and the change of the activations (ω)",
        "width^value",
    )
    U = (
        "u",
        "how large ΔW Δz is compared with its factors, the weights' update and the change of the activations (u)",
        "width^value",
    )

    @property
    def sentence(self) -> str:
        """What it is, and what goes as which power: "`epsilon`: the RMS of …, ∝ width^(−value)"."""
        return f"`{self.value}`: {self.meaning}, ∝ {self.law}"


class ExponentRole(StrEnum):
    """What a stored exponent is for: the tensors of one role, or the whole model."""

    EMBEDDING = Role.EMBEDDING.value
    HIDDEN = Role.HIDDEN.value
    READOUT = Role.READOUT.value
    VECTOR = Role.VECTOR.value
    SCALAR = Role.SCALAR.value
    ALL = "all"  #: one exponent for every role


Word = TypeVar("Word", bound=StrEnum)


def known_word(kind: type[Word], value: Word | str, name: str) -> Word:
    """The member of a vocabulary; InvalidInputError that lists the words for any other."""
    if type(value) is kind:
        return value
    try:
        return kind(value)
    except InvalidInputError as error:  # the vocabulary knows the word by another name
        raise InvalidInputError(str(error), field=name) from None
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        raise InvalidInputError(f"{name} is {value!r}; give one of {known}", field=name) from None
