"""What no service takes: requests of a wrong form, and specifications and extensions of every wrong kind."""

from collections.abc import Iterator
from typing import Any

from tests.recorded.asks import MEASURED, specification, transfer

Json = dict[str, Any]
NOBODY = "cal_000000000000000000000000"


def requests() -> Iterator[tuple[str, str, str, Json]]:
    """Requests by method, path and options."""
    plain = {"Content-Type": "application/json"}
    for path in ("/v1/transfers", "/v1/calibrations"):
        yield f"no JSON {path}", "POST", path, {"content": b"{", "headers": plain}
        yield f"no UTF-8 {path}", "POST", path, {"content": b'"\xff"', "headers": plain}
        yield f"NaN {path}", "POST", path, {"content": b'{"base": NaN}', "headers": plain}
        yield f"empty {path}", "POST", path, {"content": b"", "headers": plain}
        yield f"a list {path}", "POST", path, {"json": []}
        yield f"text {path}", "POST", path, {"content": b"{}", "headers": {"Content-Type": "text/plain"}}
        yield f"no type {path}", "POST", path, {"content": b"{}"}
        yield f"DELETE {path}", "DELETE", path, {}
    yield "no such path", "GET", "/v1/nothing", {}
    for path in (
        "/v1/calibrations?limit=0",
        "/v1/calibrations?limit=many",
        "/v1/calibrations?state=done",
        "/v1/calibrations?colour=red",
        "/v1/calibrations?cursor=abc",
        "/v1/calibrations?cursor=%20",
        "/v1/exponents?role=attention",
        "/v1/exponents?quantity=loss",
        "/v1/exponents?optimizer=sophia",
        "/v1/exponents?calibration_id=!",
        "/v1/exponents?cursor=abc",
        f"/v1/exponents?calibration_id={NOBODY}",
        f"/v1/calibrations/{NOBODY}",
        "/v1/calibrations/!",
        f"/v1/calibrations/{NOBODY}/comparison",
        f"/v1/calibrations/{NOBODY}/comparison?other={NOBODY}",
    ):
        yield f"GET {path}", "GET", path, {}
    for part in ("shards", "trials", "measurements", "plot.svg", "widths.svg", "events"):
        yield f"{part} of nobody", "GET", f"/v1/calibrations/{NOBODY}/{part}", {}
    for part in ("cancel", "finish", "retry"):
        yield f"{part} nobody", "POST", f"/v1/calibrations/{NOBODY}/{part}", {}
    yield "extend nobody", "POST", f"/v1/calibrations/{NOBODY}/extensions", {"json": {"seeds": 3}}
    trial = {"width": 64, "learning_rate": 0.1, "seed": 0, "loss": 1.0}
    yield "upload to nobody", "POST", f"/v1/calibrations/{NOBODY}/trials", {"json": {"trials": [trial]}}
    for name, wrong in (
        ("width", {"width": 0}),
        ("learning rate", {"learning_rate": 0}),
        ("seed", {"seed": -1}),
        ("loss", {"loss": "low"}),
        ("field", {"colour": 1}),
    ):
        body = {"trials": [{**trial, **wrong}]}
        yield f"upload of a wrong {name}", "POST", f"/v1/calibrations/{NOBODY}/trials", {"json": body}
    yield "upload of nothing", "POST", f"/v1/calibrations/{NOBODY}/trials", {"json": {"trials": []}}


def specifications() -> Iterator[tuple[str, Json]]:
    """Specifications with one field of a wrong kind or out of range."""
    mlp: Json = {"architecture": "mlp"}
    for name, change in (
        ("no widths", {"widths": []}),
        ("width 0", {"widths": [0, 64]}),
        ("wide", {"widths": [64, 2**20]}),
        ("widths twice", {"widths": [64, 64]}),
        ("two rates", {"learning_rates": [0.1, 0.2]}),
        ("rate 0", {"learning_rates": [0, 0.1, 0.2]}),
        ("near rates", {"learning_rates": [0.1, 0.1000000001, 0.2]}),
        ("large rate", {"learning_rates": [0.1, 0.2, 1e9]}),
        ("no seeds", {"seeds": 0}),
        ("many seeds", {"seeds": 33}),
        ("no steps", {"steps": 0}),
        ("epsilon", {"epsilon": 0}),
        ("mesh", {"mesh": 2}),
        ("search", {"search": "random"}),
        ("measure twice", {"measure": ["epsilon", "epsilon"]}),
        ("measure nothing", {"measure": []}),
        ("measure loss", {"measure": ["loss"]}),
        ("runner", {"runner": "cloud"}),
        ("horizons", {"measure": ["horizon"], "horizons": [100]}),
        ("horizon alone", {"horizons": [100, 200]}),
        ("external horizon", {"measure": ["learning_rate", "horizon"], "runner": "external"}),
        ("external epsilon", {"measure": ["epsilon"], "runner": "external"}),
        ("external coordinates", {"measure": ["learning_rate", "coordinates"], "runner": "external"}),
        ("global gamma", {"measure": ["learning_rate", "gamma"], "learning_rate_rule": "global"}),
        ("architecture", {"proxy": {"architecture": "cnn"}}),
        ("depth", {"proxy": {**mlp, "depth": 0}}),
        ("tied mlp", {"proxy": {**mlp, "tied": True}}),
        ("feed-forward", {"proxy": {"architecture": "transformer", "feed_forward": "relu"}}),
        ("file name", {"proxy": {**mlp, "dataset": "file:../secret"}}),
        ("atan2", {"atan2": {"a": 0}}),
        ("alignment", {"alignment": {"hidden": MEASURED["hidden"]}}),
        ("alignment's range", {"alignment": {**MEASURED, "readout": {"alpha": 0.1, "omega": 0.5, "u": 1}}}),
        ("readout omega", {"readout_omega": 2}),
        ("parameterization", {"parameterization": "spectral"}),
        ("optimizer", {"optimizer": "sophia"}),
        ("probe", {"probe_learning_rate": -1}),
        ("early stopping", {"early_stopping": "yes"}),
    ):
        yield name, specification(**change)
    yield "nothing", {}


def extensions() -> Iterator[tuple[str, Json]]:
    """Extensions of a calibration of widths 64 to 512 with two seeds and a mesh of ½."""
    yield "a width there is", {"widths": [512]}
    yield "below the base", {"widths": [32]}
    yield "fewer seeds", {"seeds": 1}
    yield "as many seeds", {"seeds": 2}
    yield "no finer", {"mesh": 0.5}
    yield "unknown field", {"steps": 100}
    yield "too many widths", {"widths": list(range(600, 616))}


def other_settings() -> Iterator[tuple[str, Json]]:
    """Transfers in another setting than that of the calibration they name."""
    yield "parameterization", {"parameterization": "mup"}
    yield "optimizer", {"optimizer": "sgd"}
    yield "alignment", {"alignment": "none"}
    yield "readout omega", {"readout_omega": 1}
    yield "same omega", {"readout_omega": 0.5}
    yield "no width", {"base": transfer()["base"], "target": {}}
