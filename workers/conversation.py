"""The conversation of a worker with its child: which message may follow which, as a table."""

from collections.abc import Mapping
from enum import StrEnum

from workers.protocol import (
    Described,
    Event,
    Failed,
    Finished,
    MeasurementDone,
    ProtocolError,
    Started,
    StepProgress,
    TrialDone,
)


class Phase(StrEnum):
    """What a child does, as far as its messages tell."""

    IDLE = "idle"  #: it has no job, and takes one
    ASKED = "asked"  #: it has a job and has not started it
    PREPARING = "preparing"  #: it compiles for a later job
    AWAITED = "awaited"  #: it has that job, and still compiles for it
    RUNNING = "running"  #: it trains, and reports
    OVER = "over"  #: it has reported an error or its device; it takes nothing more, and exits


#: What a job makes of a child; in every other phase it takes none.
ON_JOB: Mapping[Phase, Phase] = {Phase.IDLE: Phase.ASKED, Phase.PREPARING: Phase.AWAITED}
#: What a job that only compiles makes of it.
ON_PREPARATION: Mapping[Phase, Phase] = {Phase.IDLE: Phase.PREPARING}

#: What follows each event in each phase; every other event breaks the protocol.
NEXT: Mapping[Phase, Mapping[type[Event], Phase]] = {
    Phase.IDLE: {Described: Phase.OVER},
    Phase.ASKED: {Started: Phase.RUNNING, Failed: Phase.OVER},
    Phase.PREPARING: {Started: Phase.PREPARING, Finished: Phase.IDLE, Failed: Phase.OVER},
    # one that fails exits, and has not started its job
    Phase.AWAITED: {Started: Phase.AWAITED, Finished: Phase.ASKED, Failed: Phase.ASKED},
    Phase.RUNNING: {
        TrialDone: Phase.RUNNING,
        MeasurementDone: Phase.RUNNING,
        StepProgress: Phase.RUNNING,
        Finished: Phase.IDLE,
        Failed: Phase.OVER,
    },
    Phase.OVER: {},
}


def after(phase: Phase, event: Event) -> Phase:
    """Return the phase after an event. Raises ProtocolError if it may not come now.

    >>> after(Phase.RUNNING, Finished())
    <Phase.IDLE: 'idle'>
    """
    following = NEXT[phase].get(type(event))
    if following is None:
        raise ProtocolError(f"the event {event.EVENT!r} came from a child that is {phase.value}")
    return following
