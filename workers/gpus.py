"""The GPUs of this machine, and how to bind a worker to one of them."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping

from widthwise.errors import InvalidInputError

ALL = "all"
VISIBLE = "CUDA_VISIBLE_DEVICES"
LIST_SECONDS = 30.0  # for nvidia-smi (chosen), which takes seconds if the driver sleeps


def choose_gpus(asked: str, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the GPUs that `asked` names: numbers or UUIDs, comma-separated, or "all" that this process may use.

    Raises InvalidInputError if a name can't be parsed or is repeated, or if there is no GPU.

    >>> choose_gpus("0,2")
    ('0', '2')
    """
    if asked.strip() == ALL:
        return _names(environment[VISIBLE], VISIBLE) if environment.get(VISIBLE) else _listed(environment)
    return _names(asked, "--gpus")


def gpu_environment(gpu: str) -> dict[str, str]:
    """Return the variables that make a worker and its children see only this GPU."""
    return {
        VISIBLE: gpu,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # number GPUs like nvidia-smi; CUDA's default order puts the fastest first
        "JAX_PLATFORMS": "cuda",  # a GPU that does not start is an error, not a reason to train silently on the CPU
    }


def _names(text: str, field: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", name) for name in names) or len(set(names)) < len(names):
        raise InvalidInputError(
            f"{field} is {text!r}; give numbers or UUIDs of GPUs, each once, comma-separated (0,1), or {ALL!r}.",
            field=field,
        )
    return names


def _listed(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Ask the driver."""
    command = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if command is None:
        raise InvalidInputError(
            "There is no nvidia-smi on the PATH, so GPUs can't be listed; install NVIDIA's driver (in a container: "
            "give it the GPUs), or leave --gpus out.",
            field="--gpus",
        )
    try:
        found = subprocess.run(  # noqa: S603  # found on the operator's own PATH; no shell is involved
            [command, "-L"], capture_output=True, text=True, timeout=LIST_SECONDS, check=False, env=dict(environment)
        )
        said = f"{found.stdout}\n{found.stderr}".strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    numbers = tuple(re.findall(r"^GPU (\d+):", said, re.MULTILINE))
    if not numbers:
        raise InvalidInputError(f"nvidia-smi -L lists no GPU: {said or 'it printed nothing'}.", field="--gpus")
    return numbers
