"""What is asked: bodies of transfers, specifications of calibrations, trials that were made up. The same every time."""

import json
import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

Json = dict[str, Any]

EXAMPLES = Path(__file__).parents[2] / "examples"
PARAMETERIZATIONS = ("standard", "ntk", "mup", "mean_field")
OPTIMIZERS = ("sgd", "adam", "adamw", "adam_atan2", "adafactor", "adam_parameter_scaling")
MEASURED = {
    "hidden": {"alpha": 0.8, "omega": 0.5, "u": 0.75},
    "readout": {"alpha": 0.9, "omega": 0.5, "u": 0.9},
}
ALIGNMENTS = ("full", "none", MEASURED)
BASE: Json = {
    "width": 256,
    "learning_rate": 0.003,
    "epsilon": 1e-8,
    "weight_decay": 0.1,
    "init_std": 0.02,
    "gradient_rms": 1e-5,
}
TENSORS: list[Json] = [
    {"name": "embed", "base_shape": [1000, 256], "target_shape": [1000, 1024], "role": "embedding"},
    {"name": "q", "base_shape": [256, 256], "target_shape": [1024, 1024]},
    {"name": "kv", "base_shape": [64, 256], "target_shape": [64, 1024], "role": "hidden"},
    {"name": "up", "base_shape": [512, 256], "target_shape": [4096, 1024]},
    {"name": "down", "base_shape": [256, 512], "target_shape": [1024, 4096]},
    {
        "name": "experts",
        "base_shape": [4, 256, 512],
        "target_shape": [4, 1024, 4096],
        "fan_in_axes": [1],
        "fan_out_axes": [2],
    },
    {"name": "gain", "base_shape": [256], "target_shape": [1024]},
    {"name": "bias", "base_shape": [1000], "target_shape": [1000]},
    {"name": "temperature", "base_shape": [], "target_shape": []},
    {"name": "head", "base_shape": [1000, 256], "target_shape": [1000, 1024], "tied_to": "embed"},
]
UNTIED = [*TENSORS[:-1], {"name": "head", "base_shape": [1000, 256], "target_shape": [1000, 1024], "role": "readout"}]


def transfer(parameterization: str = "mup", optimizer: str = "adam", **more: Any) -> Json:
    """A body of POST /v1/transfers; a None leaves a member out."""
    body = {
        "parameterization": parameterization,
        "optimizer": optimizer,
        "base": BASE,
        "target": {"width": 1024},
        **more,
    }
    return {name: value for name, value in body.items() if value is not None}


def transfers() -> Iterator[tuple[str, Json]]:
    """Every parameterization, optimizer and alignment; then one variation after another."""
    for number, (kind, optimizer, alignment) in enumerate(product(PARAMETERIZATIONS, OPTIMIZERS, ALIGNMENTS)):
        tensors = (TENSORS, UNTIED)[number % 2]
        name = alignment if isinstance(alignment, str) else "measured"
        body = transfer(kind, optimizer, alignment=alignment, tensors=tensors, layout="out_in")
        yield f"{kind} {optimizer} {name}", body
    for form, mode in product(("table_9", "table_8", "table_3"), ("decoupled", "independent", "coupled")):
        yield (
            f"form {form} {mode}",
            transfer(form=form, weight_decay_mode=mode, tensors=TENSORS, layout="in_out", optimizer="adamw"),
        )
    for kind in PARAMETERIZATIONS:
        yield f"omega 1 {kind}", transfer(kind, readout_omega=1, tensors=UNTIED, layout="out_in")
    by_role = {"embedding": 0.01, "hidden": 0.003, "readout": 0.005, "vector": 0.02, "scalar": 0.1}
    yield "by role", transfer(base={**BASE, "learning_rate": by_role, "epsilon": {"hidden": 1e-9}}, tensors=UNTIED[:2])
    yield "gamma", transfer(base={**BASE, "gamma": {"hidden": 2.0, "readout": 0.5}})
    sizes = {"depth": 4, "batch_tokens": 65536, "tokens": 10**9, "head_dim": 32, "output_dimension": 10}
    larger = {"width": 8192, "depth": 8, "batch_tokens": 131072, "tokens": 10**10, "head_dim": 64}
    yield "sizes", transfer("standard", base={**BASE, "width": 128, **sizes}, target=larger)
    yield "smaller", transfer(target={"width": 64})
    yield "equal", transfer(target={"width": 256}, tensors=None)
    yield "mismatch", transfer(target={"width": 768}, tensors=UNTIED, layout="out_in")
    yield "no width", transfer(base={"learning_rate": 0.01}, target={}, tensors=UNTIED, layout="out_in")
    yield "tiny epsilon", transfer(base={**BASE, "epsilon": 1e-25})
    yield "large epsilon", transfer("mean_field", base={**BASE, "epsilon": 1e-4})
    yield "only rate", transfer(base={"width": 64, "learning_rate": 0.1})
    for path in sorted(EXAMPLES.glob("*.json")):
        yield f"example {path.stem}", json.loads(path.read_text(encoding="utf-8"))


def refused_transfers() -> Iterator[tuple[str, Json]]:
    """What no transfer takes."""
    yield "unknown field", transfer(width=3)
    yield "unknown word", transfer("mup", "sophia")
    yield "no learning rate", transfer(base={"width": 256})
    yield "one width", transfer(target={})
    yield "form of another", transfer("ntk", form="table_3")
    yield "wrong alignment", transfer(alignment={"hidden": {"alpha": 2, "omega": 0.5, "u": 1}})
    yield "rules", transfer(rules={"depth": 1})
    open_tensors = [{"name": "x", "base_shape": [100, 256], "target_shape": [100, 1024]}]
    yield "unplaced", transfer(tensors=open_tensors, layout="out_in")
    yield "no layout", transfer(tensors=[{"name": "x", "base_shape": [9, 8], "target_shape": [18, 16]}])
    yield "wrong tie", transfer(tensors=[{**TENSORS[1], "tied_to": "nobody"}], layout="out_in")
    yield "negative", transfer(base={**BASE, "weight_decay": -1})
    yield "no role's rate", transfer(base={**BASE, "learning_rate": {"hidden": 0.1}}, tensors=UNTIED, layout="out_in")
    yield "no calibration", transfer(exponents={"source": "calibration", "id": "cal_000000000000000000000000"})


def specification(**changes: Any) -> Json:
    """A specification of a calibration as a user writes it."""
    return {"parameterization": "standard", "optimizer": "adam", "widths": [64, 128, 256], **changes}


def specifications() -> Iterator[tuple[str, Json]]:
    """What is submitted for workers, none of which runs here."""
    for kind, optimizer in product(("standard", "mup"), OPTIMIZERS):
        yield f"{kind} {optimizer}", specification(parameterization=kind, optimizer=optimizer)
    transformer: Json = {"architecture": "transformer"}
    yield "transformer", specification(proxy=transformer, search="grid")
    yield "swiglu", specification(proxy={**transformer, "feed_forward": "swiglu", "qk_norm": True, "tied": True})
    yield (
        "all measured",
        specification(
            widths=[32, 64, 128],
            measure=["learning_rate", "gamma", "epsilon", "alignment", "coordinates", "horizon"],
            seeds=3,
            steps=400,
        ),
    )
    yield "only measured", specification(measure=["coordinates", "epsilon"], probe_learning_rate=0.01)
    yield "horizon", specification(measure=["horizon"], horizons=[50, 200])
    yield "global", specification(learning_rate_rule="global", epsilon_rule="constant", alignment="none", mesh=0.25)
    yield "form", specification(parameterization="mup", form="table_8", readout_omega=1, alignment=MEASURED)
    yield "atan2", specification(optimizer="adam_atan2", atan2={"a": 1.27}, early_stopping=False)
    yield "file", specification(proxy={"architecture": "mlp", "dataset": "file:notes.txt", "depth": 3})


def refused_specifications() -> Iterator[tuple[str, Json]]:
    """What no calibration takes."""
    yield "one width", specification(widths=[64])
    yield "unknown field", specification(colour="red")
    yield "unknown dataset", specification(proxy={"architecture": "mlp", "dataset": "nowhere"})
    yield "heads", specification(widths=[60, 90], proxy={"architecture": "transformer", "head_dim": 16})
    yield "twice", specification(learning_rates=[0.1, 0.1, 0.2])
    yield "gamma alone", specification(measure=["gamma"])
    yield "external gamma", specification(measure=["learning_rate", "gamma"], runner="external")
    yield "form", specification(parameterization="ntk", form="table_3")


RATES = [2.0**power for power in range(-12, -3)]


def bowl(
    widths: list[int], *, drift: float = 0.0, shift: float = 0.0, edge: bool = False, seeds: int = 2
) -> list[Json]:
    """Trials whose optimum is 2^−8 at width 64 and moves as width^−drift · 2^(−shift/width); null: diverged."""
    trials = []
    for width, rate, seed in product(widths, RATES, range(seeds)):
        best = -8 - drift * math.log2(width / 64) - shift / width + (6 if edge and width == widths[-1] else 0)
        away = math.log2(rate) - best
        noise = 0.002 * math.sin(37.0 * width + 11.0 * math.log2(rate) + 5.0 * seed)
        loss = None if away > 3 else 2.0 + 0.05 * away**2 + noise
        trials.append({"width": width, "learning_rate": rate, "seed": seed, "loss": loss})
    return trials


def uploads() -> Iterator[tuple[str, Json, list[Json]]]:
    """Calibrations that somebody else trains: name, specification, trials."""
    for optimizer in OPTIMIZERS:
        widths = [64, 128, 256]
        spec = specification(optimizer=optimizer, runner="external", learning_rates=RATES, widths=widths)
        yield f"drift {optimizer}", spec, bowl(widths, drift=0.25)
    for name, kind, widths, more in (
        ("flat", "mup", [64, 128, 256, 512], {}),
        ("shift", "mup", [32, 64, 128, 256], {"shift": 40.0}),
        ("two widths", "ntk", [64, 256], {"drift": 0.1}),
        ("edge", "mean_field", [64, 128, 256], {"edge": True}),
        ("one seed", "standard", [64, 128, 256], {"drift": -0.2, "seeds": 1}),
        ("five seeds", "standard", [64, 128, 256, 512, 1024], {"drift": 1.0, "seeds": 5}),
    ):
        spec = specification(parameterization=kind, runner="external", learning_rates=RATES, widths=widths)
        yield name, {**spec, "seeds": more.get("seeds", 2)}, bowl(widths, **more)


def searches() -> Iterator[tuple[str, Json]]:
    """Full specifications that a pretended worker runs to the end; the service writes them out."""
    common = specification(widths=[32, 64, 128], steps=50, seeds=3)
    yield "telescope", common
    yield "grid", {**common, "search": "grid", "seeds": 2}
    yield "fine", {**common, "mesh": 0.25, "optimizer": "sgd"}
    yield "gamma and horizon", {**common, "measure": ["learning_rate", "gamma", "horizon"], "parameterization": "mup"}
    yield "global", {**common, "learning_rate_rule": "global", "search": "grid"}
    yield "one seed", {**common, "seeds": 1, "learning_rates": RATES}
    yield "one seed, coarse", {**common, "seeds": 1, "learning_rates": RATES, "mesh": 1}
    yield "below the optimum", {**common, "learning_rates": RATES[:5]}
    yield "above the optimum", {**common, "learning_rates": [0.125, 0.25, 0.5], "search": "grid"}
    yield "five widths", {**common, "widths": [32, 64, 128, 256, 512], "seeds": 5, "learning_rates": RATES}


def best(width: int, horizon: int | None) -> float:
    """The log2 of the best learning rate of the made-up losses."""
    return -6.3 - 0.2 * math.log2(width / 32) - 0.3 * math.log2((horizon or 50) / 50)


def outcomes(shard: Json) -> list[Json]:
    """The made-up trials of a shard that varies learning rates; null: diverged."""
    trials = []
    cells = product(shard["learning_rates"], shard["seeds"], shard["gammas"] or [1.0], shard["horizons"] or [None])
    for rate, seed, gamma, horizon in cells:
        away = math.log2(rate * gamma) - best(shard["width"], horizon)
        noise = 0.002 * math.sin(17.0 * shard["width"] + 13.0 * math.log2(rate) + 3.0 * seed + gamma)
        loss = None if away > 3.5 else 2.5 + 0.04 * away**2 + noise
        place = {"width": shard["width"], "learning_rate": rate, "seed": seed, "role": shard["role"]}
        status = "diverged" if loss is None else "completed"
        trials.append({**place, "gamma": gamma, "horizon": horizon, "status": status, "loss": loss})
    return trials
