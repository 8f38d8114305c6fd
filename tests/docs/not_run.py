"""What of the documentation's code is not run as it stands there, each with the reason: the only such list.

By page (as a pattern of fnmatch): how a command begins, and why it isn't run here. If another test runs a page's
Python, that test is named.
"""

#: Commands that are left out. An entry that matches no command of its pages fails a test.
COMMANDS = {
    (
        "docs/results/*.md",
        "python -m benchmarks.",
    ): "measures for minutes or hours; tests/cli/test_makefile.py holds it",
    ("README.md", "make "): "tests/cli/test_demo.py runs the demo; tests/cli/test_readme.py holds the names of targets",
    ("CONTRIBUTING.md", "make "): "what CI itself runs; tests/unit/test_contributing.py holds the names of targets",
    ("README.md", "docker compose up"): "needs a container engine; tests/deploy runs each service's own command",
    (
        "docs/operations.md",
        "docker compose",
    ): "needs a container engine; tests/deploy/test_operations.py reads each word",
    ("docs/operations.md", "WORKERS=8 docker compose"): "the same",
    ("docs/operations.md", "make secrets"): "writes into the checkout; tests/deploy/test_compose.py runs it elsewhere",
    ("docs/operations.md", "python3 -c"): "tests/deploy/test_backup.py runs it on a service's database",
    ("docs/operations.md", "rm -f"): "the same",
    ("docs/operations.md", "cp "): "the same",
    ("docs/operations.md", "widthwise migrate --restored"): "the same",
    ("docs/calibration.md", "widthwise calibrate -p standard -o adam --widths 32,64,128,256 --measure"): (
        "trains for a minute; tests/engine/test_measurements.py and tests/e2e measure the same at toy size"
    ),
    ("docs/calibration.md", "curl -s -X POST $URL/v1/calibrations/$ID/finish"): (
        "refuses to fit the two trials of the example; tests/api/test_calibrations.py finishes whole sweeps"
    ),
    ("*.md", "pip install"): "installs a package; tests/unit/test_packaging.py holds the extras",
}
#: Blocks of Python that are left out, by how they begin.
PYTHON = {
    ("docs/sweeps.md", "from ray import tune"): "starts Ray's own processes; tests/models/test_integrations.py does",
}
#: Pages whose Python another test runs, and looks at its results.
ELSEWHERE = {
    "docs/optax.md": "tests/models/test_optax.py",
}
