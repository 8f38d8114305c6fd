"""What a client asks about transfers, advice, exports, theory, measured exponents, workers and the service itself."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from widthwise.client.answer import UnexpectedAnswerError
from widthwise.client.calibrations import Exponent
from widthwise.client.catalogue import (
    Advice,
    DrawnFigure,
    ExportedPlan,
    ExportForm,
    FleetWorker,
    Health,
    TheorySetting,
)
from widthwise.client.reading import figure, json_of, many, one, pages, plan, text
from widthwise.client.steps import Listing, Reply, Request, Steps
from widthwise.transfers.plan import Plan

FIT_SECONDS = 300.0  # for an answer that may need a fit (chosen): the largest takes half a minute, and fits take turns


def health() -> Steps[Health]:
    """Return status and version; ServiceFailureError (503) while the service can't answer requests."""
    live = yield from Request("GET", "/livez", json_of, retried=False)
    ready = yield from Request("GET", "/readyz", json_of, retried=False)
    return Health.read({**live, **ready})


def metrics() -> Request[str]:
    """Return the service's metrics as text, as Prometheus reads them."""
    return Request("GET", "/metrics", text)


def transfer(request: Mapping[str, Any]) -> Request[Plan]:
    """Return the plan for a request: layers, tensors, warnings and provenance.

    request: the body of POST /v1/transfers.
    """
    return _transfer(request, {}, plan)


def export_plan(request: Mapping[str, Any], to: str, *, allow_lossy: bool = False) -> Request[ExportedPlan]:
    """Return the file that a trainer reads for the plan of a request; ServiceRequestError if it would lose a value.

    to: a name that `exports` lists. allow_lossy: return the file nevertheless.
    """
    return _transfer(request, {"export": to, "allow_lossy": "true" if allow_lossy else "false"}, _exported)


def plot_transfer(request: Mapping[str, Any], *, suffix: str = "svg") -> Request[DrawnFigure]:
    """Return the plot of a request's plan over width. suffix: svg, pdf, png or csv."""
    return _transfer(request, {}, figure, f"/v1/transfers/plot.{quote(suffix, safe='')}")


def exports() -> Request[list[ExportForm]]:
    """Return every form in which a plan can be exported."""
    return Request("GET", "/v1/exports", many(ExportForm))


def advise(case: Mapping[str, Any]) -> Request[Advice]:
    """Return the ranked options for a case, with the service's calibrations next to them."""
    return Request("POST", "/v1/advice", one(Advice), body=case)


def parameterizations(*, form: str | None = None, readout_omega: float | None = None) -> Request[list[TheorySetting]]:
    """Return every theoretical exponent: a setting for each parameterization, optimizer and alignment."""
    asked = {"form": form, "readout_omega": None if readout_omega is None else str(readout_omega)}
    query = {name: value for name, value in asked.items() if value is not None}
    return Request("GET", "/v1/parameterizations", many(TheorySetting), query=query)


def exponents(**filters: str | None) -> Listing[Exponent]:
    """Return the measured exponents, newest first, page by page.

    filters: parameterization, optimizer, alignment, role, quantity, source, architecture, dataset,
    calibration_id; None means any.
    """
    return pages("/v1/exponents", filters, Exponent)


def workers() -> Request[list[FleetWorker]]:
    """Return every worker that reported within a week, the most recent first."""
    return Request("GET", "/v1/workers", many(FleetWorker))


def _transfer(
    request: Mapping[str, Any], query: Mapping[str, str], read: Any, path: str = "/v1/transfers"
) -> Request[Any]:
    fits = isinstance(asked := request.get("exponents"), Mapping) and asked.get("source") == "sweep"
    patience = FIT_SECONDS if fits else None
    return Request("POST", path, read, body=request, query=query, patience_seconds=patience)


def _exported(reply: Reply) -> ExportedPlan:
    if "widthwise-plan" not in reply.headers:
        raise UnexpectedAnswerError(": not an exported plan")
    lost = reply.headers.get("widthwise-not-expressed", "")
    _, _, name = reply.headers.get("content-disposition", "").partition("filename=")
    return ExportedPlan(
        file_name=name.strip('"'),
        media_type=reply.headers.get("content-type", "").partition(";")[0],
        text=text(reply),
        plan_digest=reply.headers["widthwise-plan"],
        not_expressed=tuple(name.strip() for name in lost.split(",") if name.strip()),
    )
