"""The plan itself as YAML with its digest."""

from dataclasses import replace

from widthwise.exports import plan_json
from widthwise.exports.content import Content
from widthwise.exports.yaml_text import yaml_text
from widthwise.transfers.digest import with_digest


def write(value: Content) -> str:
    """Return the file."""
    return yaml_text(with_digest(value.plan.to_dict()))


EXPORT = replace(
    plan_json.EXPORT,
    name="yaml",
    file_name="plan.yaml",
    media_type="application/yaml",
    write=write,
    use="`Plan.from_dict(yaml.safe_load(text))`, or `widthwise export path --to …` with PyYAML installed",
)
