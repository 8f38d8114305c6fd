"""Example bodies of POST /v1/transfers, the contract's first; a test sends each of them."""

from typing import Any

EXAMPLES: dict[str, dict[str, Any]] = {
    "contract": {
        "summary": "One ratio of widths: tuned at 256, to be trained at 4096",
        "value": {
            "parameterization": "standard",
            "optimizer": "adam",
            "alignment": "full",
            "base": {"width": 256, "learning_rate": 0.003, "epsilon": 1e-8},
            "target": {"width": 4096},
        },
    },
    "tensors": {
        "summary": "The real shapes of both models, in PyTorch order",
        "value": {
            "parameterization": "mup",
            "optimizer": "adamw",
            "alignment": "full",
            "base": {"width": 256, "learning_rate": 0.003, "epsilon": 1e-8, "weight_decay": 0.1, "head_dim": 64},
            "target": {"width": 1024, "head_dim": 64},
            "layout": "out_in",
            "tensors": [
                {
                    "name": "embed.weight",
                    "base_shape": [32000, 256],
                    "target_shape": [32000, 1024],
                    "role": "embedding",
                },
                {"name": "attn.qkv.weight", "base_shape": [768, 256], "target_shape": [3072, 1024]},
                {"name": "mlp.up.weight", "base_shape": [1024, 256], "target_shape": [4096, 1024]},
                {"name": "mlp.down.weight", "base_shape": [256, 1024], "target_shape": [1024, 4096]},
                {"name": "norm.weight", "base_shape": [256], "target_shape": [1024]},
                {
                    "name": "experts.up.weight",
                    "base_shape": [8, 256, 512],
                    "target_shape": [8, 1024, 2048],
                    "fan_in_axes": [1],
                    "fan_out_axes": [2],
                },
                {
                    "name": "head.weight",
                    "base_shape": [32000, 256],
                    "target_shape": [32000, 1024],
                    "role": "readout",
                },
            ],
        },
    },
    "beyond_width": {
        "summary": "Wider, deeper, with a larger batch and more tokens, in one plan",
        "value": {
            "parameterization": "mup",
            "optimizer": "adamw",
            "base": {
                "width": 512,
                "depth": 8,
                "batch_tokens": 131072,
                "tokens": 2000000000,
                "learning_rate": 0.004,
                "epsilon": 1e-8,
                "weight_decay": 0.1,
                "beta1": 0.9,
                "beta2": 0.95,
            },
            "target": {"width": 2048, "depth": 32, "batch_tokens": 262144, "tokens": 40000000000},
            "rules": {
                "depth": "completep",
                "batch": "half_life",
                "tokens": {"exponent": 0.3, "interval": [0.1, 0.5]},
                "weight_decay": "timescale",
            },
        },
    },
    "measured": {
        "summary": "Measured alignment, a learning rate for each role",
        "value": {
            "parameterization": "ntk",
            "optimizer": "adam_atan2",
            "alignment": {
                "hidden": {"alpha": 0.8, "omega": 0.5, "u": 0.75},
                "readout": {"alpha": 0.9, "omega": 0.5, "u": 0.9},
            },
            "base": {"width": 512, "learning_rate": {"embedding": 0.01, "hidden": 0.003, "readout": 0.005}},
            "target": {"width": 2048},
        },
    },
}
