"""What is wrong with a text that should be JSON, in plain words and with the place."""

import json
from collections.abc import Mapping

SHOWN = 40  # characters of the line at fault that are shown (chosen)

#: By the start of Python's message.
_FAULTS: Mapping[str, str] = {
    "Expecting value": "a value is missing there",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing there",
    "Illegal trailing comma": "no comma may stand there",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing there",
    "Expecting ':' delimiter": "a colon is missing there",
    "Extra data": "the JSON ends there, and more follows",
    "Unterminated string": "a string begins there and does not end",
    "Invalid control character": "a string has a line break or a control character there",
    "Invalid \\escape": "a string has a backslash there that escapes nothing",
    "Invalid \\uXXXX escape": "four hexadecimal digits are missing there",
}


def json_fault(text: str, error: Exception) -> str:
    """Return why a text is not JSON.

    >>> json_fault('{"a": 1,}', json.JSONDecodeError("Expecting value", '{"a": 1,}', 8))
    'it is not JSON: line 1, column 9: a value is missing there (the line is {"a": 1,})'
    """
    if not text.strip():
        return "it is empty"
    if isinstance(error, RecursionError):
        return "it is not JSON that can be read: its lists or objects are nested too deep"
    if not isinstance(error, json.JSONDecodeError):
        return f"it is not JSON: {error}"
    said = next((plain for start, plain in _FAULTS.items() if error.msg.startswith(start)), error.msg)
    line = text.splitlines()[error.lineno - 1].strip() if error.lineno <= len(text.splitlines()) else ""
    shown = line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
    at = f" (the line is {shown})" if shown else ""
    return f"it is not JSON: line {error.lineno}, column {error.colno}: {said}{at}"
