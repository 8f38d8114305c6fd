"""The plan itself as canonical JSON with its digest, which every reader of plans takes."""

from widthwise.exports.content import Content
from widthwise.exports.matcher import Matcher
from widthwise.exports.record import EACH_OF_ALL, Decay, ExportRecord, Rate
from widthwise.vocabulary import Optimizer


def write(value: Content) -> str:
    """Return the file."""
    return value.plan.to_json() + "\n"


EXPORT = ExportRecord(
    name="json",
    trainer="any program",
    versions="",
    file_name="plan.json",
    media_type="application/json",
    write=write,
    use="`Plan.load(path)`, `widthwise export path --to …`, or read it yourself",
    scheduler="The values are the peaks of a schedule.",
    carries=EACH_OF_ALL,
    rate=Rate.PLAN,
    decay=Decay.PLAN,
    matcher=Matcher.NAMES,
    optimizers=frozenset(Optimizer),
)
