"""The trials of a shard in reporting order."""

from operator import attrgetter

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.trial import TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import ShardKind


def in_order(shard: ShardSpec) -> list[TrialIdentity]:
    """Return the trials of a shard seed by seed, then by learning rate, γ and horizon, ascending.

    Raises InvalidInputError if the shard lacks the values that its kind varies.

    >>> shard = {"kind": "gamma", "width": 8, "learning_rates": [0.1], "seeds": [0], "role": "hidden", "gammas": [1, 2]}
    >>> [trial.gamma for trial in in_order(ShardSpec.from_dict(shard))]
    [1.0, 2.0]
    """
    if shard.kind is ShardKind.GAMMA and shard.role is None:
        raise InvalidInputError(
            "the gamma shard has no role; give the role whose learning rate varies", field="shard.role"
        )
    if shard.kind is ShardKind.GAMMA and not shard.gammas:
        raise InvalidInputError("the gamma shard has no gammas; give at least one multiplier", field="shard.gammas")
    if shard.kind is ShardKind.HORIZON and not shard.horizons:
        raise InvalidInputError(
            "the horizon shard has no horizons; give at least one number of steps", field="shard.horizons"
        )
    return sorted(shard.trials(), key=attrgetter("seed", "learning_rate", "gamma", "horizon"))
