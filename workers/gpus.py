"""Which GPUs this machine offers, and what binds a worker to one of them."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping

from widthwise.errors import InvalidInputError

ALL = "all"
VISIBLE = "CUDA_VISIBLE_DEVICES"
LIST_SECONDS = 30.0  # for nvidia-smi, which takes seconds where the driver sleeps (chosen)


def choose_gpus(asked: str, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the GPUs that `asked` names: numbers or UUIDs, comma-separated, or "all" that this process may use.

    Raises InvalidInputError where a name can't be read or comes twice, or where there is no GPU.

    >>> choose_gpus("0,2")
    ('0', '2')
    """
    if asked.strip() == ALL:
        return _names(environment[VISIBLE], VISIBLE) if environment.get(VISIBLE) else _listed(environment)
    return _names(asked, "--gpus")


def gpu_environment(gpu: str) -> dict[str, str]:
    """Return the variables by which a worker and its children see this GPU alone."""
    return {
        VISIBLE: gpu,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # numbers as nvidia-smi has them; CUDA's own put the fastest first
        "JAX_PLATFORMS": "cuda",  # a GPU that does not start is an error, and no reason to train on the CPU unseen
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
            "There is no nvidia-smi on the PATH, so no GPU is known; install NVIDIA's driver (in a container: give "
            "it the GPUs), or leave --gpus out.",
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
        raise InvalidInputError(f"nvidia-smi -L names no GPU: {said or 'it said nothing'}.", field="--gpus")
    return numbers
