"""Example bodies of the calibration routes; a test sends each of them."""

from typing import Any

SPEC_EXAMPLES: dict[str, dict[str, Any]] = {
    "contract": {
        "summary": "Adam with full alignment on the byte-level MLP, automatic learning rates",
        "value": {
            "parameterization": "standard",
            "optimizer": "adam",
            "alignment": "full",
            "widths": [64, 128, 256],
            "seeds": 2,
            "steps": 200,
            "search": "telescope",
            "proxy": {"architecture": "mlp", "depth": 2, "sequence_length": 8, "batch_size": 256},
            "measure": ["learning_rate"],
            "runner": "worker",
        },
    },
    "everything": {
        "summary": "Everything that can be measured, on a transformer",
        "value": {
            "parameterization": "mup",
            "optimizer": "adam",
            "alignment": "none",
            "widths": [32, 64, 128],
            "seeds": 2,
            "steps": 200,
            "proxy": {"architecture": "transformer", "head_dim": 16, "feed_forward": "swiglu", "qk_norm": True},
            "measure": ["learning_rate", "gamma", "epsilon", "alignment", "coordinates", "horizon"],
            "horizons": [100, 200, 400],
        },
    },
    "external": {
        "summary": "You train, upload the trials and finish",
        "value": {
            "parameterization": "mup",
            "optimizer": "adamw",
            "widths": [256, 512, 1024],
            "seeds": 1,
            "steps": 5000,
            "learning_rates": [0.001, 0.002, 0.004, 0.008],
            "proxy": {"architecture": "transformer", "head_dim": 64, "dataset": "our_corpus"},
            "runner": "external",
        },
    },
}

EXTENSION_EXAMPLES: dict[str, dict[str, Any]] = {
    "widths": {"summary": "A wider model, for an interval that extrapolates less", "value": {"widths": [512]}},
    "seeds": {"summary": "More seeds per learning rate, on a finer mesh", "value": {"seeds": 4, "mesh": 0.25}},
}

LABELS_EXAMPLES: dict[str, dict[str, Any]] = {
    "name": {"summary": "A name and a note", "value": {"name": "muP, wide", "note": "Before the new tokenizer."}},
    "note": {"summary": "Without the note; the name stays", "value": {"note": None}},
}

UPLOAD_EXAMPLES: dict[str, dict[str, Any]] = {
    "trials": {
        "summary": "Two runs at one width, one of which diverged",
        "value": {
            "trials": [
                {"width": 256, "learning_rate": 0.002, "seed": 0, "loss": 3.412},
                {"width": 256, "learning_rate": 0.008, "seed": 0, "loss": None},
            ]
        },
    }
}
