"""Example bodies of the calibration routes; a test sends each of them."""

from typing import Any

SPEC_EXAMPLES: dict[str, dict[str, Any]] = {
    "contract": {
        "summary": "Adam with full alignment on the byte-level MLP, an automatic grid",
        "value": {
            "parameterization": "standard",
            "optimizer": "adam",
            "alignment": "full",
            "widths": [64, 128, 256],
            "seeds": 2,
            "steps": 200,
            "search": "grid",
            "proxy": {"architecture": "mlp", "depth": 2, "sequence_length": 8, "batch_size": 256},
            "measure": ["learning_rate"],
            "runner": "worker",
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
