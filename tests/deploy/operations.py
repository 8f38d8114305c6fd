"""The commands of docs/operations.md: what stands in its fenced blocks, by the heading above them."""

import re

from tests.deploy.composition import ROOT

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def blocks(heading: str | None = None) -> list[str]:
    """Return the lines of every shell block, or of those under one heading; continued lines are joined."""
    text = TEXT
    if heading is not None:
        found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
        assert found is not None, f"docs/operations.md has no heading {heading!r}"
        text = found[1]
    shell = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "".join(shell).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]
