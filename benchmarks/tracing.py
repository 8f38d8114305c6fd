"""What does it cost to read a model of full size? Seconds and memory of a trace, without any weights.

    python -m benchmarks.tracing                 # a minute or two; writes docs/results/tracing.*
    python -m benchmarks.tracing --dry

Each model is built on the meta device in a separate process: memory is the peak of that process beyond what it held
before the trace.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.record import PACKAGES, arguments, write_result

TOKENS = 16  # the length of the text changes nothing that is read (chosen)

#: Published configurations, by name: the model type of transformers and what differs from its defaults.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    # Radford et al. 2019, table 2
    "GPT-2 XL": ("gpt2", {"n_embd": 1600, "n_layer": 48, "n_head": 25}),
    # Llama Team 2024 (2407.21783), table 3
    "Llama 3 70B": (
        "llama",
        {
            "vocab_size": 128256,
            "hidden_size": 8192,
            "intermediate_size": 28672,
            "num_hidden_layers": 80,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
        },
    ),
    # Jiang et al. 2024 (2401.04088), table 1
    "Mixtral 8x7B": (
        "mixtral",
        {
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "num_local_experts": 8,
        },
    ),
}


def measure(name: str) -> dict[str, Any]:
    """Build one model without weights, read it, and return what that took."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    from widthwise.torch import trace

    kind, sizes = MODELS[name]
    config = CONFIG_MAPPING[kind](**sizes, use_cache=False)
    begun = time.monotonic()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    built, held = time.monotonic(), _peak_bytes()
    reading = trace(model, {"input_ids": torch.zeros(3, TOKENS, dtype=torch.long)})
    read = time.monotonic()
    return {
        "model": name,
        "parameters": len(list(model.parameters())),
        "numbers": sum(each.numel() for each in model.parameters()),
        "build_seconds": built - begun,
        "trace_seconds": read - built,
        "trace_bytes": _peak_bytes() - held,
        "blocks": list(reading.blocks),
        "roles": dict(Counter(str(parameter.role or "open") for parameter in reading.parameters)),
        "source": reading.source,
    }


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def main() -> None:
    options = _options()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    found = []
    for name in MODELS:
        command = [sys.executable, "-m", "benchmarks.tracing", "--one", name]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(ran.stdout.splitlines()[-1]))
    rows = [
        "| model | numbers | tensors | build, s | trace, s | memory of the trace, MB | blocks | roles |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        roles = ", ".join(f"{count} {role}" for role, count in each["roles"].items())
        rows.append(
            f"| {each['model']} | {each['numbers']:.2e} | {each['parameters']} | {each['build_seconds']:.1f} "
            f"| {each['trace_seconds']:.1f} | {each['trace_bytes'] / 1e6:.0f} | {', '.join(map(str, each['blocks']))} "
            f"| {roles} |"
        )
    lines = [
        "Models of transformers in their published sizes, built on the meta device in bfloat16 and read by "
        f"`widthwise.torch.trace` from one forward pass over {TOKENS} tokens; no weights exist at any time. A tied "
        "tensor counts under both of its roles.",
        "",
        *rows,
    ]
    write_result(
        "tracing",
        "What reading a model costs",
        lines,
        {"models": found},
        options,
        packages=(*PACKAGES, "transformers"),
    )


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--one", choices=MODELS, help="measure this model alone, and print it as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
