"""The application: routes, errors, limits and the store, put together. `widthwise serve` starts it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from service.advice.routes import router as advice
from service.advice.schemas import AdviceRequest
from service.auth.guard import Guard, make_guard
from service.calibrations.event_routes import router as events
from service.calibrations.figures import router as calibration_figures
from service.calibrations.fit_routes import router as calibration_fits
from service.calibrations.labels import ExtensionRequest, LabelsBody, SubmissionBody
from service.calibrations.outcome_routes import router as outcomes
from service.calibrations.pictures import Pictures
from service.calibrations.routes import router as calibrations
from service.calibrations.schemas import TrialsUpload
from service.dashboard.routes import router as dashboard
from service.doorbell import make_doorbell
from service.exponents.routes import router as exponents
from service.exports.routes import router as exports
from service.fleet.routes import router as workers
from service.guide.routes import router as guide
from service.guide.site import built_guide
from service.health.broker import BrokerProbe
from service.health.routes import router as health
from service.http import openapi, problems
from service.http.answers import Answers
from service.http.connections import Connections
from service.http.csrf import OwnPagesOnly
from service.http.dependencies import quotas_of
from service.http.lanes import Lane
from service.http.middleware import Bounds
from service.http.streams import Streams
from service.observability.logs import Watch
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing, start_tracing
from service.parameterizations.routes import router as parameterizations
from service.settings import Settings
from service.store import Store, open_store, upgrade
from service.sweeps.figures import router as sweep_figures
from service.sweeps.fits import Fits
from service.sweeps.labels import SweepLabelsBody
from service.sweeps.routes import router as sweeps
from service.sweeps.schemas import PredictionsBody, RunsUpload, SweepUpload
from service.transfers.large import LargeTransfers
from service.transfers.routes import router as transfers
from service.transfers.schemas import TransferBody
from widthwise.version import VERSION

STREAM_SECONDS = 600.0  # chosen: proxies cut longer streams anyway, and a client resumes without loss
POLL_SECONDS = 1.0  # chosen: between reads of new events; trials take seconds
#: Calibrations stored at once (chosen): more threads take turns at one interpreter, 40 store a quarter fewer a second.
SUBMITTING = 8

_DESCRIPTION = (
    "Tune a small model, train a large one: per-tensor learning rates, epsilons, inits and decays for any width, from "
    "theory (Everett et al. 2024, arXiv 2407.05872) and from measured exponents. Errors are problem documents "
    "(RFC 9457). Numbers are finite, and unknown fields and query parameters are refused."
)
_TAGS = (
    {"name": "transfers", "description": "From a tuned base model to every hyperparameter of the target."},
    {"name": "advice", "description": "What to choose for a scale-up, and what each choice rests on."},
    {"name": "parameterizations", "description": "The theoretical exponents."},
    {"name": "calibrations", "description": "Jobs that measure exponents on small models."},
    {"name": "sweeps", "description": "Training runs from anywhere: one law over all their axes, and predictions."},
    {"name": "exponents", "description": "Measured exponents, with their intervals and provenance."},
    {"name": "workers", "description": "The workers that run calibrations."},
    {"name": "health", "description": "For supervisors and load balancers."},
)


def create_app(
    settings: Settings,
    store: Store | None = None,
    *,
    stream_seconds: float = STREAM_SECONDS,
    poll_seconds: float = POLL_SECONDS,
    tracing: Tracing | None = None,
) -> FastAPI:
    """Build the application.

    store: an open store, which the caller closes. Without one the application opens the settings' database when it
    starts and closes it when it stops; it first upgrades an embedded (SQLite) database to the newest schema. On
    Postgres, `widthwise migrate` does that, and /readyz fails until it has run.
    stream_seconds, poll_seconds: how long one event stream may last, and how often it reads the database.
    tracing: sends the traces; by default made from the settings.
    Raises InvalidInputError if API keys are required and there is no pepper to hash them with.
    """

    tracing = start_tracing(settings, "widthwise-api") if tracing is None else tracing

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if store is not None:
            try:
                yield
            finally:
                await _close(guard, tracing, large)
            return
        if settings.embedded:
            await run_in_threadpool(upgrade, settings.database_url)
        bell = make_doorbell(settings)
        opened = open_store(settings.database_url, lease_seconds=settings.lease_seconds, doorbell=bell)
        app.state.store = opened
        try:
            yield
        finally:
            app.state.store = None
            await _close(guard, tracing, large)
            opened.close()

    app = FastAPI(
        title="Widthwise",
        version=VERSION,
        summary="From a tuned small model to every tensor of the large one.",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,  # our own page at /docs needs no network
        redoc_url=None,
        redirect_slashes=False,  # one address for each resource
        separate_input_output_schemas=False,
        telemetry=tracing.for_fastapi(),
    )
    app.state.store = store
    app.state.settings = settings
    app.state.quotas = quotas_of(settings)
    app.state.guard = guard = make_guard(settings)
    app.state.pictures = Pictures()
    app.state.fits = Fits()
    app.state.streams = streams = Streams()
    app.state.lane = lane = Lane()
    app.state.submitting = CapacityLimiter(SUBMITTING)
    app.state.connections = connections = Connections(unread_seconds=settings.unread_seconds)
    app.state.answers = answers = Answers(of_one=settings.unsent_bytes_per_owner, of_all=settings.unsent_bytes)
    app.state.large = large = LargeTransfers(max_body_bytes=settings.max_body_bytes)
    app.state.metrics = metrics = Metrics(guard, streams, answers, connections, lane)
    app.state.guide = built_guide()
    app.state.scrapers = {}
    app.state.broker_probe = BrokerProbe(settings)
    app.state.stream_seconds = stream_seconds
    app.state.poll_seconds = poll_seconds
    problems.add_handlers(app)
    # Not include_router, which would match every request against each router twice; these routers need no prefix.
    first = (transfers, exports, advice, parameterizations, calibrations, outcomes)
    of_calibrations = (calibration_figures, calibration_fits, events)
    for router in (*first, *of_calibrations, sweeps, sweep_figures, exponents, workers, health, dashboard, guide):
        app.router.routes.extend(router.routes)
    calibration_bodies = (SubmissionBody, ExtensionRequest, LabelsBody, TrialsUpload)
    sweep_bodies = (SweepUpload, SweepLabelsBody, RunsUpload, PredictionsBody)
    bodies = (TransferBody, AdviceRequest, *calibration_bodies, *sweep_bodies)
    openapi.install(app, bodies, _TAGS, asks_for_keys=settings.asks_for_keys)
    # When it is opened to other machines, clients use the name of a proxy or of the host.
    own_pages_only = OwnPagesOnly(local=settings.loopback and not settings.allow_unauthenticated)
    app.add_middleware(
        Bounds,
        max_bytes=settings.max_body_bytes,
        answers=answers,
        watcher=Watch(metrics, tracing, log_requests=settings.log_requests),
        own_pages_only=None if settings.asks_for_keys else own_pages_only,
    )
    return app


async def _close(guard: Guard | None, tracing: Tracing, large: LargeTransfers) -> None:
    """End the child process, let the guard finish its writes before the store closes, and send the last spans."""
    large.close()
    if guard is not None:
        await run_in_threadpool(guard.close)
    if tracing.on:
        await run_in_threadpool(tracing.stop)
