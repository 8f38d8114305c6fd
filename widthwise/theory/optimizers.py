"""The optimizers: how large the update of each is, what its epsilon is added to, and how its decay is applied.

A new optimizer with a known scale of its update is a word of `Optimizer` and a record in `OPTIMIZERS`; to train with
it, the engine has a record too. `widthwise.vocabulary` offers the words with all others.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from widthwise.errors import InvalidInputError
from widthwise.explained import Explained
from widthwise.theory.update_scale import (
    GRADIENT,
    ORTHOGONAL_KELLER,
    ORTHOGONAL_RMS,
    ORTHOGONAL_SPHERE,
    ORTHOGONAL_UNIT,
    PARAMETER,
    PARAMETER_SPHERE,
    SHAMPOO,
    SHAMPOO_HALF,
    SIGN,
    SIGN_OVER_FAN_IN,
    SOAP,
    UNIT,
    UpdateScale,
)


class Optimizer(StrEnum):
    """Optimizers whose update size is known as a power of width; what each word stands for is in its record."""

    SGD = "sgd"
    ADAM = "adam"
    ADAMW = "adamw"
    ADAM_ATAN2 = "adam_atan2"
    ADAFACTOR = "adafactor"
    ADAFACTOR_UNSCALED = "adafactor_unscaled"
    ADAM_PARAMETER_SCALING = "adam_parameter_scaling"
    LION = "lion"
    NADAM = "nadam"
    ADAMAX = "adamax"
    ADEMAMIX = "ademamix"
    ADAN = "adan"
    MUON_UNIT = "muon_unit"
    MUON_KELLER = "muon_keller"
    MUON_RMS = "muon_rms"
    SCION = "scion"
    SCHEDULE_FREE_ADAMW = "schedule_free_adamw"
    MUON_SPHERE = "muon_sphere"
    ADAM_SPHERE = "adam_sphere"
    SHAMPOO = "shampoo"
    SHAMPOO_HALF = "shampoo_half"
    SOAP = "soap"

    @classmethod
    def _missing_(cls, value: object) -> None:
        """Refuse another name of one of these with the word to give; other names are refused by the enumeration."""
        if _plain(str(value)) == "muon":
            scales = "; ".join(f"{word.value!r}: {OPTIMIZERS[word].label}" for word in cls if word.startswith("muon_"))
            raise InvalidInputError(
                f"optimizer is {value!r}, whose update is in use with three scales that transfer differently: "
                f"give the one of your code ({scales})",
                field="optimizer",
            )
        found = _by_another_name(str(value))
        if found is not None:
            word, mode = found
            with_mode = "" if mode is None else f" with weight_decay_mode {mode.value!r}"
            raise InvalidInputError(
                f"optimizer is {value!r}, whose update scales as that of {OPTIMIZERS[word].label}; give {word.value!r}"
                f"{with_mode}",
                field="optimizer",
            )


class WeightDecayMode(Explained):
    """How the trainer applies the weight decay λ to a tensor W with learning rate η."""

    DECOUPLED = "decoupled", "W ← W − ηλW (AdamW in PyTorch and optax)"
    INDEPENDENT = "independent", "W ← W − λW (Loshchilov and Hutter's text; decay apart from η)"
    COUPLED = "coupled", "λW is added to the gradient (L2 regularisation)"


OPTIMA_AT = 32  # base width of the optima below


@dataclass(frozen=True, slots=True)
class MeasuredOptimum:
    """Where the best base learning rate of an optimizer lies, on the proxies that a calibration trains.

    All multipliers are 1 at the base width, so every parameterization starts as one model there and has the same best
    base learning rate. It depends on the optimizer, the architecture and the base width.

    Measured on the Python documentation text: 200 steps, depth 2; MLP with 8 bytes of context, batch 256; transformer
    with 64, batch 32, head dimension 16; one seed (two for MLP with Adam at 32), learning rates in steps of 2 (of 4
    for the transformer at 32) that enclose the optimum and the first divergence, one base width at a time, such as

        python -m benchmarks.optimum_over_widths --optimizer sgd --widths 32 --learning-rates 0.125 0.25 0.5 1 2 4

    | | base 32 | 64 | 128 | 256 |
    |---|---|---|---|---|
    | MLP, Adam | 0.030 | | 0.011 | 0.0042 |
    | MLP, Adam-atan2 (a = b = 1) | 0.031 | | | |
    | MLP, SGD (diverges at 4, 2, 1, 0.5) | 1.0 | 1.0 | 0.5 | ≤ 0.25 |
    | MLP, Adafactor | 0.093 | | 0.063 | 0.059 |
    | MLP, Adafactor without parameter scaling | 0.023 | | 0.0098 | |
    | MLP, Adam with parameter scaling | 0.087 | | 0.069 | 0.057 |
    | MLP, Lion | 0.012 | | 0.0035 | |
    | MLP, NAdam | 0.033 | | | |
    | MLP, AdaMax | 0.044 | | | |
    | MLP, Muon (for all scales, which are one at the base) | 0.048 | | 0.0133 | |
    | transformer, Adam | 0.022 | 0.011 | | |
    | transformer, SGD | 0.43 | 0.5 | | |
    | transformer, Adafactor | 0.125 | | | |
    | transformer, Adafactor without parameter scaling | 0.014 | | | |
    | transformer, Adam with parameter scaling | 0.073 | | | |
    | transformer, Lion | 0.0084 | | | |
    | transformer, NAdam | 0.017 | | | |
    | transformer, AdaMax | 0.052 | | | |
    | transformer, Muon | 0.049 | | | |
    """

    centres: Mapping[str, float]  #: at base width OPTIMA_AT, by the word of the architecture
    exponent: float  #: it goes as (base width)^−exponent: slopes of the table


@dataclass(frozen=True, slots=True)
class OptimizerRecord:
    """What the library knows of one optimizer."""

    label: str  #: as people write it
    scale: UpdateScale
    #: Power of the gradient that epsilon is added to; 0 if the optimizer has none. Adam adds ε to √v ~ |g|;
    #: Adafactor adds ε₁ to g² (Shazeer and Stern 2018, 1804.04235, algorithm 4).
    epsilon_power: int
    weight_decay_mode: WeightDecayMode = WeightDecayMode.DECOUPLED  #: unless a request says otherwise
    decay_elsewhere: str = ""  #: which implementations decay in another way, and the word for them
    optimum: MeasuredOptimum | None = None  #: None: calibrations do not train with it
    scales: Mapping[str, UpdateScale] = field(
        default_factory=dict
    )  #: by the word of a role, those that are not `scale`
    decay_point: str = ""  #: what its decay acts on, if not on the weights at which the gradient is taken
    has_adam_moments: bool = False  #: g over the root of the mean of g²: what rules of the batch were derived for


# published: 0.95 for one global learning rate (Everett et al. 2024)
_ADAM_OPTIMUM = MeasuredOptimum({"mlp": 0.030, "transformer": 0.022}, exponent=0.95)
_MUON_OPTIMUM = MeasuredOptimum({"mlp": 0.048, "transformer": 0.049}, exponent=0.93)
_OPTAX_ADAFACTOR = "optax.adafactor decays apart from η: give 'independent' for it"


def _muon(scale: str, hidden: UpdateScale) -> OptimizerRecord:
    return _for_hidden(f"Muon × {scale}", hidden, _MUON_OPTIMUM)


def _for_hidden(label: str, hidden: UpdateScale, optimum: MeasuredOptimum | None = None) -> OptimizerRecord:
    """One optimizer for the hidden matrices and AdamW for every other tensor, as people train with it."""
    return OptimizerRecord(
        f"{label} for hidden matrices, AdamW for the rest",
        UNIT,
        epsilon_power=1,
        optimum=optimum,
        scales={"hidden": hidden},
    )


OPTIMIZERS: Mapping[Optimizer, OptimizerRecord] = MappingProxyType(
    {
        Optimizer.SGD: OptimizerRecord(
            "SGD",
            GRADIENT,
            epsilon_power=0,
            weight_decay_mode=WeightDecayMode.COUPLED,  # the decoupled one, times η: see `coupled_is_decoupled`
            # the slope is 0.7 to 1; where training diverges moves by 1
            optimum=MeasuredOptimum({"mlp": 1.0, "transformer": 0.43}, exponent=0.75),
        ),
        Optimizer.ADAM: OptimizerRecord(
            "Adam",
            UNIT,
            epsilon_power=1,
            has_adam_moments=True,
            decay_elsewhere="torch.optim.Adam adds λW to the gradient: give 'coupled' for it",
            optimum=_ADAM_OPTIMUM,
        ),
        Optimizer.ADAMW: OptimizerRecord(
            "AdamW",
            UNIT,
            epsilon_power=1,
            has_adam_moments=True,
            optimum=_ADAM_OPTIMUM,  # it decays by ηλ ≈ 0.003 a step here
        ),
        Optimizer.ADAM_ATAN2: OptimizerRecord(
            "Adam-atan2",
            UNIT,
            epsilon_power=0,
            has_adam_moments=True,
            optimum=_ADAM_OPTIMUM,  # it has Adam's step while a·atan2(x) ≈ x
        ),
        Optimizer.ADAFACTOR: OptimizerRecord(
            "Adafactor with parameter scaling",
            PARAMETER,
            epsilon_power=2,
            decay_elsewhere=_OPTAX_ADAFACTOR,
            optimum=MeasuredOptimum({"mlp": 0.093, "transformer": 0.125}, exponent=0.25),
        ),
        # Hugging Face's Trainer, `scale_parameter=False`: g/√v alone has RMS 1, as Adam's update has. ε₁ stays at g².
        Optimizer.ADAFACTOR_UNSCALED: OptimizerRecord(
            "Adafactor without parameter scaling",
            UNIT,
            epsilon_power=2,
            decay_elsewhere=_OPTAX_ADAFACTOR,
            optimum=MeasuredOptimum({"mlp": 0.023, "transformer": 0.014}, exponent=0.6),
        ),
        Optimizer.ADAM_PARAMETER_SCALING: OptimizerRecord(
            "Adam with parameter scaling",
            PARAMETER,
            epsilon_power=1,
            optimum=MeasuredOptimum({"mlp": 0.087, "transformer": 0.073}, exponent=0.25),
        ),
        # sign(β₁m + (1−β₁)g) has entries ±1 and nothing to divide by; decay is separate (2302.06675, algorithm 2)
        Optimizer.LION: OptimizerRecord(
            "Lion",
            UNIT,
            epsilon_power=0,
            optimum=MeasuredOptimum({"mlp": 0.012, "transformer": 0.0084}, exponent=0.9),
        ),
        # Adam with Nesterov's momentum, ε added to √v; torch.optim.NAdam adds λW to the gradient
        Optimizer.NADAM: OptimizerRecord(
            "NAdam",
            UNIT,
            epsilon_power=1,
            has_adam_moments=True,
            weight_decay_mode=WeightDecayMode.COUPLED,
            decay_elsewhere="optax.nadamw and torch.optim.NAdam(decoupled_weight_decay=True) decouple: give "
            "'decoupled' for them",
            # the slope is Adam's (chosen)
            optimum=MeasuredOptimum({"mlp": 0.033, "transformer": 0.017}, exponent=_ADAM_OPTIMUM.exponent),
        ),
        # m̂ over the largest recent |g| + ε (1412.6980, algorithm 2); torch.optim.Adamax adds λW to the gradient
        Optimizer.ADAMAX: OptimizerRecord(
            "AdaMax",
            UNIT,
            epsilon_power=1,
            weight_decay_mode=WeightDecayMode.COUPLED,
            decay_elsewhere="optax.adamaxw decouples: give 'decoupled' for it",
            # the slope is Adam's (chosen)
            optimum=MeasuredOptimum({"mlp": 0.044, "transformer": 0.052}, exponent=_ADAM_OPTIMUM.exponent),
        ),
        # (m₁ + αm₂)/(√v + ε) with a slow m₂, + λW, times η (2409.03137; its authors' code)
        Optimizer.ADEMAMIX: OptimizerRecord("AdEMAMix", UNIT, epsilon_power=1),
        # (m + (1−β₂)d)/(√n + ε), n of (g + (1−β₂)Δg)²; W/(1 + ηλ), which is 1 − ηλ (2208.06677; its authors' code)
        Optimizer.ADAN: OptimizerRecord("Adan", UNIT, epsilon_power=1),
        # dion's default and Scion's spectral layers; U·Vᵀ of the momentum by Newton–Schulz (Jordan et al. 2024)
        Optimizer.MUON_UNIT: _muon("√(fan_out/fan_in)", ORTHOGONAL_UNIT),
        # Keller Jordan's code, optax.contrib.muon and torch.optim.Muon's "original"
        Optimizer.MUON_KELLER: _muon("√max(1, fan_out/fan_in)", ORTHOGONAL_KELLER),
        # Moonlight (2502.16982) and torch.optim.Muon's "match_rms_adamw": 0.2·√max(out, in) has the RMS of AdamW's step
        Optimizer.MUON_RMS: _muon("0.2·√max(fan_out, fan_in)", ORTHOGONAL_RMS),
        # Pethick et al. 2025 (2502.07529): spectral layers × √(out/in), sign(g)/fan_in for the readout, columns of the
        # embedding and vectors normalised to RMS 1
        Optimizer.SCION: OptimizerRecord(
            "Scion", SIGN, epsilon_power=0, scales={"hidden": ORTHOGONAL_UNIT, "readout": SIGN_OVER_FAN_IN}
        ),
        # an average of AdamW's iterates instead of a schedule (2405.15682): width acts on the inner optimizer's step
        Optimizer.SCHEDULE_FREE_ADAMW: OptimizerRecord(
            "schedule-free AdamW",
            UNIT,
            epsilon_power=1,
            has_adam_moments=True,
            decay_point="acts on a point between the iterate and its average",
        ),
        # Hyperball, MuonH and AdamH (2606.16899; HyperP, 2603.28743); embeddings and readouts are usually left out
        Optimizer.MUON_SPHERE: _for_hidden("Muon on the sphere of the init (MuonH)", ORTHOGONAL_SPHERE),
        Optimizer.ADAM_SPHERE: _for_hidden("Adam on the sphere of the init (AdamH)", PARAMETER_SPHERE),
        Optimizer.SHAMPOO: _for_hidden("Shampoo with powers ¼ and ¼", SHAMPOO),
        Optimizer.SHAMPOO_HALF: _for_hidden("Shampoo with powers ½ and ½", SHAMPOO_HALF),
        Optimizer.SOAP: _for_hidden("SOAP on both sides", SOAP),
    }
)

#: Names of other optimizers whose update has the size of one of these, with the decay that they apply if it differs.
_ALSO: Mapping[str, tuple[Optimizer, WeightDecayMode | None]] = {
    "amsgrad": (Optimizer.ADAM, None),  # v is the largest so far: as large as g² still
    "rmsprop": (Optimizer.ADAM, WeightDecayMode.COUPLED),  # g/(√v + ε), as torch.optim.RMSprop decays
    "cadamw": (Optimizer.ADAMW, None),  # Cautious AdamW masks entries of the update (2411.16085)
    "nadamw": (Optimizer.NADAM, WeightDecayMode.DECOUPLED),
    "adamaxw": (Optimizer.ADAMAX, WeightDecayMode.DECOUPLED),
    "adamwschedulefree": (Optimizer.SCHEDULE_FREE_ADAMW, None),
    "muonh": (Optimizer.MUON_SPHERE, None),
    "adamh": (Optimizer.ADAM_SPHERE, None),
    "signsgd": (Optimizer.LION, None),
    "signum": (Optimizer.LION, None),
    "momentum": (Optimizer.SGD, None),
    "nesterov": (Optimizer.SGD, None),
    "adafactornoparameterscaling": (Optimizer.ADAFACTOR_UNSCALED, None),
}
#: What names add for another implementation of the same update: where it runs, and how it keeps its state.
_IMPLEMENTATION = re.compile(
    r"torch|optim|optax|keras|apex|deepspeed|bnb|hf|fused|foreach|multitensor|paged|anyprecision|cpu|gpu|xla|npu|"
    r"(?:4|8|16|32)bit"
)


def _by_another_name(name: str) -> tuple[Optimizer, WeightDecayMode | None] | None:
    """The word for a name that another library gives, with the decay mode if it needs one; None for any other.

    >>> _by_another_name("adamw_torch_fused"), _by_another_name("lamb")
    ((<Optimizer.ADAMW: 'adamw'>, None), None)
    """
    words = {word.value.replace("_", ""): (word, None) for word in Optimizer}
    return {**_ALSO, **words}.get(_plain(name))


def _plain(name: str) -> str:
    """A name without what says only where it runs: "torch.optim.Muon" is "muon"."""
    return _IMPLEMENTATION.sub("", re.sub(r"[^a-z0-9]", "", name.lower()))


def default_decay_modes() -> str:
    """Which decay a request means that names none, by optimizer: "coupled for sgd …, else decoupled"."""
    coupled = [word.value for word, record in OPTIMIZERS.items() if record.weight_decay_mode is WeightDecayMode.COUPLED]
    return f"coupled for {', '.join(coupled)}, else decoupled"


def trained() -> tuple[str, ...]:
    """Return the words of the optimizers that calibrations train with."""
    return tuple(word.value for word, record in OPTIMIZERS.items() if record.optimum is not None)


def update_scale(optimizer: Optimizer | str, role: str | None = None) -> UpdateScale:
    """What an update's RMS is proportional to, for the tensors of one role; None: for most roles.

    >>> update_scale("adamw").name
    'unit'
    >>> update_scale("muon_unit", "hidden").name
    'orthogonal, × √(out/in)'
    """
    record = OPTIMIZERS[Optimizer(optimizer)]
    return record.scale if role is None else record.scales.get(str(role), record.scale)


def epsilon_power(optimizer: Optimizer | str, role: str | None = None) -> int:
    """Power p of the gradient RMS that epsilon must follow, ε ∝ n^(−p·g), for the tensors of one role.

    0 if the optimizer has no epsilon there; without a role: that of most roles.
    """
    scale = update_scale(optimizer, role)
    own = OPTIMIZERS[Optimizer(optimizer)].epsilon_power if scale.epsilon_power is None else scale.epsilon_power
    return own * scale.has_epsilon


def default_weight_decay_mode(optimizer: Optimizer | str) -> WeightDecayMode:
    """Return the decay that a request means if it names none."""
    return OPTIMIZERS[Optimizer(optimizer)].weight_decay_mode


def decay_mode_in_force(optimizer: Optimizer | str, mode: WeightDecayMode) -> WeightDecayMode:
    """The mode whose scaling applies: coupled decay is the decoupled one if the update follows the gradient."""
    is_same = OPTIMIZERS[Optimizer(optimizer)].scale.coupled_is_decoupled
    return WeightDecayMode.DECOUPLED if is_same and mode is WeightDecayMode.COUPLED else mode
