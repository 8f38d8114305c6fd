"""The pages of sweeps: what their columns may mean is the library's."""

import re

import pytest

from tests.api.client import Client
from widthwise.sweeps.exports import NAMES, UNFINISHED
from widthwise.sweeps.run import FIELDS, FINISHED, NUMBER_AXES


@pytest.mark.parametrize("path", ["/sweeps", "/sweeps/swp_1"])
def test_a_column_may_mean_every_field_and_axis_under_the_names_that_the_library_knows(
    client: Client, path: str
) -> None:
    found = re.search(
        r'<template id="meanings"><select name="meaning">(.*?)</select></template>', client.get(path).text
    )
    assert found is not None
    options = dict(re.findall(r'<option value="(\w+)"([^>]*)>', found[1]))
    assert list(options) == [*FIELDS, *NUMBER_AXES]
    for word, attributes in options.items():
        assert ('data-kind="axis"' in attributes) == (word in NUMBER_AXES)
        if word in NAMES:
            assert f'data-names="{" ".join(NAMES[word])}"' in attributes
    assert f'data-finished="{" ".join(FINISHED)}" data-unfinished="{" ".join(UNFINISHED)}"' in options["status"]
