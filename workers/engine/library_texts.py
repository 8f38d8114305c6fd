"""The texts that come with every Python: its documentation, and the source of its standard library."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

# Tests are long lists of cases; installed packages differ by machine; pydoc_data is the documentation corpus itself.
_LEFT_OUT = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "pydoc_data"})
#: generated when Python was built or installed, with this machine's paths
_OF_THE_MACHINE = ("_sysconfigdata", "sitecustomize", "usercustomize")
MAX_SOURCE_BYTES = 32 << 20  # chosen: three times the library of Python 3.11; a stray tree in it can't fill the memory


def python_docs() -> list[bytes]:
    """The language reference that `help()` prints: English, with every Python, 0.5 MB; it differs by Python version.

    Some topics repeat parts of others, so the held-out part is not entirely unseen. A trial reads the text about once,
    so it still measures learning and not memory.
    """
    from pydoc_data.topics import topics

    return [topics[key].encode("utf-8") for key in sorted(topics)]


def python_source() -> list[bytes]:
    """The modules of the standard library, sorted by name: 11 MB of code and English in Python 3.11.

    It differs by Python version and by how a distribution packages it. Modules are read up to MAX_SOURCE_BYTES.
    """
    return list(modules(Path(sysconfig.get_path("stdlib"))))


def modules(root: Path, at_most: int = MAX_SOURCE_BYTES) -> Iterator[bytes]:
    """Return the Python modules under `root`, sorted by name, up to the first that would exceed `at_most` bytes."""
    total = 0
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    for name in sorted(found):
        path = found[name]
        # a distribution may link into its own configuration
        if _LEFT_OUT & set(path.relative_to(root).parts) or path.name.startswith(_OF_THE_MACHINE) or path.is_symlink():
            continue
        text = path.read_bytes()
        total += len(text)
        if total > at_most:
            return
        yield text
