"""Example bodies of the sweep routes; a test sends each of them."""

from typing import Any

UPLOAD_EXAMPLES: dict[str, dict[str, Any]] = {
    "contract": {
        "summary": "A muP sweep over width and tokens, with the columns of one's own table",
        "value": {
            "name": "small transformers, muP",
            "columns": {"learning_rate": "lr", "tokens": "D"},
            "prescribed": ["width"],
            "parameterization": "mup",
            "optimizer": "adamw",
            "runs": [
                {"lr": 0.001, "loss": 3.412, "seed": 0, "width": 256, "D": 1e9},
                {"lr": 0.002, "loss": 3.371, "seed": 0, "width": 256, "D": 1e9},
                {"lr": 0.004, "loss": 3.395, "seed": 0, "width": 256, "D": 1e9},
                {"lr": 0.008, "loss": None, "seed": 0, "width": 256, "D": 1e9},
            ],
        },
    },
    "empty": {
        "summary": "Nothing yet: runs are added as they finish",
        "value": {"name": "overnight", "groups": ["optimizer"], "notes": "two optimizers, four widths"},
    },
}

LABELS_EXAMPLES: dict[str, dict[str, Any]] = {
    "name": {"summary": "Another name", "value": {"name": "two optimizers, night of the 12th"}},
    "notes": {"summary": "Without the notes; the name stays", "value": {"notes": None}},
}

RUNS_EXAMPLES: dict[str, dict[str, Any]] = {
    "runs": {
        "summary": "Two runs, one of which diverged",
        "value": {
            "runs": [
                {"learning_rate": 0.002, "loss": 3.371, "seed": 0, "width": 256, "tokens": 1e9},
                {"learning_rate": 0.008, "loss": None, "seed": 0, "width": 256, "tokens": 1e9},
            ]
        },
    }
}

PREDICTIONS_EXAMPLES: dict[str, dict[str, Any]] = {
    "places": {
        "summary": "The best rate of a model that was not run",
        "value": {"places": [{"width": 4096, "tokens": 1e11}]},
    },
    "holdout": {
        "summary": "How well the largest width is predicted from the smaller ones",
        "value": {"holdout": {"axis": "width", "end": "max"}},
    },
}
