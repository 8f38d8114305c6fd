"""One name, one thing: no public class of the library, the service or the workers has the name of another."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for package in ("widthwise", "service", "workers"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(path.relative_to(ROOT)))
    assert len(places) > 250  # fewer: the search lost a package
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
