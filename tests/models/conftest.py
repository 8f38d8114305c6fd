"""What the tests of models share: one thread each, and the warnings that libraries give of one another."""

from collections.abc import Iterable

import pytest
import torch

torch.set_num_threads(1)  # two processes of two threads each are slower than two of one

#: Libraries that call one another's deprecated parts.
FOREIGN = (
    "ignore:LSTM with projections is not supported with oneDNN:UserWarning",
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
)


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if "tests/models/" in item.nodeid:
            for line in FOREIGN:
                item.add_marker(pytest.mark.filterwarnings(line))
