"""The plan itself as YAML with its digest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from widthwise.exports import plan_json
from widthwise.exports.content import Content
from widthwise.exports.yaml_text import yaml_text
from widthwise.transfers.digest import with_digest

_HEAD = ("name", "role")


def write(value: Content) -> str:
    """Return the file, in one form whatever made the plan."""
    return yaml_text(_in_order(with_digest(value.plan.to_dict())))


def _in_order(value: Any) -> Any:
    """A value with every name at the head of its object and the rest sorted."""
    if isinstance(value, Mapping):
        return {name: _in_order(value[name]) for name in sorted(value, key=lambda name: (name not in _HEAD, name))}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_in_order(each) for each in value]
    return value


EXPORT = replace(
    plan_json.EXPORT,
    name="yaml",
    file_name="plan.yaml",
    media_type="application/yaml",
    write=write,
    use="`Plan.from_dict(yaml.safe_load(text))`, or `widthwise export path --to …` with PyYAML installed",
)
