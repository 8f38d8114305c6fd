"""Every named rule, by what it is about and by its word."""

from collections.abc import Mapping
from types import MappingProxyType

from widthwise.rules.beyond_width.adamw_sde import AdamWSDE
from widthwise.rules.beyond_width.batch_power import BatchPower
from widthwise.rules.beyond_width.complete_mue import CompleteMuE
from widthwise.rules.beyond_width.completed_p import CompletedP
from widthwise.rules.beyond_width.completep import CompleteP
from widthwise.rules.beyond_width.compute_optimal import ComputeOptimal
from widthwise.rules.beyond_width.constant_product import ConstantProduct
from widthwise.rules.beyond_width.depth_mup import DepthMuP
from widthwise.rules.beyond_width.fixed_sparsity import FixedSparsity
from widthwise.rules.beyond_width.half_life import HalfLife
from widthwise.rules.beyond_width.horizon import DefaultHorizon, Horizon
from widthwise.rules.beyond_width.lora import AlphaOverRank, RankSlope, RankStabilized
from widthwise.rules.beyond_width.mua import RandomA, RandomB
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.power_lines import PowerLines
from widthwise.rules.beyond_width.root_width import RootWidth
from widthwise.rules.beyond_width.schedule import KeepShare, KeepSteps
from widthwise.rules.beyond_width.square_root import SquareRoot
from widthwise.rules.beyond_width.surge import Surge
from widthwise.rules.beyond_width.timescale import Timescale
from widthwise.rules.beyond_width.u_mup import UnitScaledMuP

NAMED_RULES: tuple[type[NamedRule], ...] = (
    FixedSparsity,
    CompleteMuE,
    AlphaOverRank,
    RankSlope,
    RankStabilized,
    RandomA,
    RandomB,
    CompleteP,
    DepthMuP,
    UnitScaledMuP,
    CompletedP,
    SquareRoot,
    AdamWSDE,
    HalfLife,
    Surge,
    BatchPower,
    Horizon,
    DefaultHorizon,
    KeepSteps,
    KeepShare,
    ConstantProduct,
    RootWidth,
    ComputeOptimal,
    Timescale,
    PowerLines,
)

#: The order in which rules act: decay sees what all others did to η.
BY_WORD: Mapping[About, Mapping[str, type[NamedRule]]] = MappingProxyType(
    {about: {rule.word: rule for rule in NAMED_RULES if rule.about is about} for about in About}
)
