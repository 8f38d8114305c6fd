"""Look every pinned package up in PyPI's database of known vulnerabilities (`make audit`).

    python requirements/audit.py [FILE]

Exit code 0: every package was looked up and none has a known vulnerability; 1: some have; 2: some could not be looked
up. pip-audit itself ends with 0 where the database knows none of the packages, as behind a mirror of the index, and
that must not pass for a clean bill.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PINS = Path(__file__).with_name("constraints.txt")
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 2
SHOWN = 5  # packages named where many could not be looked up


def verdict(report: Mapping[str, Any] | None, pinned: int) -> tuple[int, list[str]]:
    """Return the exit code and what to say of pip-audit's JSON report; None: there is none.

    pinned: how many packages had to be looked up.
    """
    found = [] if report is None else list(report["dependencies"])
    looked_up = [package for package in found if "skip_reason" not in package]
    vulnerable = [package for package in looked_up if package["vulns"]]
    lines = [
        f"{package['name']} {package['version']}: {each['id']}, mended in {', '.join(each['fix_versions']) or 'none'}"
        for package in vulnerable
        for each in package["vulns"]
    ]
    missing = pinned - len(looked_up)
    if missing > 0:
        named = [package["name"] for package in found if "skip_reason" in package]
        names = f": {', '.join(named[:SHOWN])}{', …' if len(named) > SHOWN else ''}" if named else ""
        lines.append(
            f"NOT AUDITED: {missing} of {pinned} packages could not be looked up{names}. The database of "
            "vulnerabilities was not reached; run this where PyPI itself answers."
        )
    if vulnerable:
        return VULNERABLE, lines
    if missing > 0:
        return UNKNOWN, lines
    return CLEAN, [f"{pinned} packages were looked up; none has a known vulnerability."]


def main(pins: Path) -> int:
    """Run pip-audit over a file of pins, say what it found, and return the exit code."""
    pinned = sum("==" in line for line in pins.read_text(encoding="utf-8").splitlines())
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    ran = subprocess.run(  # noqa: S603  # our own command; no shell is involved
        [*command, "--format", "json", "--requirement", str(pins)], capture_output=True, text=True, check=False
    )
    try:
        report = json.loads(ran.stdout)
    except ValueError:
        report = None
        sys.stderr.write("".join(f"pip-audit: {line}\n" for line in ran.stderr.strip().splitlines()[-1:]))
    code, lines = verdict(report, pinned)
    (sys.stdout if code == CLEAN else sys.stderr).write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else PINS))
