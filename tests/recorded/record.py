"""Record the answers of the code as it is: `python -m tests.recorded.record`; README.md says when that is allowed."""

import gzip
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from tests.recorded import asks, door, fits, play, states
from tests.recorded.compare import CLOCK, Rules

Json = dict[str, Any]
HERE = Path(__file__).parent
_CODE = re.compile(r'Caution\(\s*"([a-z_]+)"|"([a-z_]+_changed)"')


def write(name: str, answers: Json, rules: Rules | None = None) -> Json:
    """Write answers as compressed JSON, one line for each, without what the rules mask; return them."""
    answers = answers if rules is None else rules.blanked(answers)
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in answers.items())
    (HERE / f"{name}.json.gz").write_bytes(gzip.compress(f"{{\n{lines}\n}}\n".encode(), mtime=0))
    return answers


def main() -> None:
    """Write every file; fail if a warning that the library has was never given."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with door.service(folder / "new.db") as client:
            found = [write("transfers", play.transfers(client), Rules()), write("commands", play.commands())]
            write("requests", play.requests(client), Rules())
            write("openapi", client.get("/openapi.json").json())

            def written_out(spec: Json) -> Json:
                whole: Json = client.post("/v1/calibrations", json=spec).json()["spec"]
                return whole

            specs = {each: written_out(spec) for each, spec in asks.searches()}
            given = {
                each: {"spec": written_out(spec), "trials": trials, "measurements": measurements}
                for each, spec, trials, measurements in fits.fits()
            }
        write("searches", {each: {"spec": specs[each], **ran} for each, ran in play.searches(specs).items()})
        found.append(write("fits", {each: {**given[each], **fit} for each, fit in play.fits(given).items()}))
        with door.service(folder / "calibrations.db") as client:
            found.append(write("calibrations", play.calibrations(client), Rules()))
        found.append(write("runs", play.runs(folder), Rules()))
        found.append(write("databases", databases(folder), Rules(masked=CLOCK)))
    missing = _all_codes() - {code for answers in found for code in _codes(answers)}
    assert not missing, f"no answer has the warnings {sorted(missing)}"


def databases(folder: Path) -> Json:
    """Dumps by revision, each with what a service says of it."""
    dumps = {"head": states.head(folder / "head.db")}
    dumps |= {each: states.steady(door.released(folder / f"{each}.db", each)) for each in door.REVISIONS}
    answers = {}
    for revision, dump in dumps.items():
        file = folder / f"again-{revision}.db"
        with door.service(file, dump) as client, door.work(file) as work:
            answers[revision] = {"dump": dump, "answers": {**play.stored(client), "keys": work.keys()}}
    return answers


def _all_codes() -> set[str]:
    """Every code of a warning in the library's source."""
    sources = (path.read_text(encoding="utf-8") for path in (HERE.parents[1] / "widthwise").rglob("*.py"))
    return {one or other for source in sources for one, other in _CODE.findall(source)}


def _codes(answer: Any) -> set[str]:
    """Every code of a warning in an answer."""
    if isinstance(answer, list):
        return {code for each in answer for code in _codes(each)}
    if not isinstance(answer, dict):
        return set()
    own = {answer["code"]} if {"code", "message"} <= answer.keys() else set()
    return own.union(*(_codes(each) for each in answer.values()))


if __name__ == "__main__":
    main()
