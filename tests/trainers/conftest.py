"""What the tests of trainers share: one thread, and the warnings that trainers give of what they import."""

from collections.abc import Iterable

import pytest
import torch

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("default"))  # theirs; Widthwise warns through plans alone
