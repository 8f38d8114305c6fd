"""Clients of the HTTP service, for training scripts, notebooks and the `widthwise` command.

    from widthwise import Client
    with Client("http://127.0.0.1:8000") as client:
        plan = client.transfer({"parameterization": "mup", "optimizer": "adam",
                                "base": {"width": 256, "learning_rate": 0.003}, "target": {"width": 4096}})

A call is described once, as data (`calls`, `calibration_calls`, `sweep_calls`); `core` sends it again if that may help,
and `Client` and `AsyncClient` do the I/O. Every failure is a `widthwise.errors.ServiceError` with a message that can be
shown to users unchanged.
"""

from widthwise.client.asynchronous import AsyncClient
from widthwise.client.calibrations import (
    FINAL_STATES,
    Calibration,
    CalibrationReport,
    EstimatedCalibration,
    Exponent,
    Progress,
)
from widthwise.client.catalogue import Advice, DrawnFigure, ExportedPlan, ExportForm, FleetWorker, Health, TheorySetting
from widthwise.client.connection import DEFAULT_URL, URL_VARIABLE, service_url
from widthwise.client.core import KEY_VARIABLE
from widthwise.client.reading import PAGE_SIZE
from widthwise.client.retries import NO_RETRIES, Retries
from widthwise.client.sweeps import FittedSweep, KeptRun, KeptSweep, SweepPredictions
from widthwise.client.sync import Client
from widthwise.errors import ServiceError

__all__ = [
    "DEFAULT_URL",
    "FINAL_STATES",
    "KEY_VARIABLE",
    "NO_RETRIES",
    "PAGE_SIZE",
    "URL_VARIABLE",
    "Advice",
    "AsyncClient",
    "Calibration",
    "CalibrationReport",
    "Client",
    "DrawnFigure",
    "EstimatedCalibration",
    "Exponent",
    "ExportForm",
    "ExportedPlan",
    "FittedSweep",
    "FleetWorker",
    "Health",
    "KeptRun",
    "KeptSweep",
    "Progress",
    "Retries",
    "ServiceError",
    "SweepPredictions",
    "TheorySetting",
    "service_url",
]
