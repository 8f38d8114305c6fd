"""YAML of plain values that every reader of it understands alike."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

#: What a double-quoted string of YAML may not hold as it is: control characters, and separators that end a line.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})  # YAML 1.1 reads them as others


def yaml_text(value: Any, heading: Sequence[str] = ()) -> str:
    """Return a value as YAML, in blocks, with comments at its head.

    Strings are quoted, and numbers always have a dot: YAML 1.1, which PyYAML reads, takes 1e-08 for a string.
    """
    lines = [f"# {line}".rstrip() for line in heading]
    return "\n".join([*lines, *_block(value, "")]) + "\n"


def _block(value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        lines: list[str] = []
        for name, each in value.items():
            lines += _entry(f"{indent}{_key(str(name))}:", each, indent)
        return lines
    if _is_list(value) and value:
        lines = []
        for each in value:
            inner = _block(each, indent + "  ")
            lines += [f"{indent}- {inner[0].lstrip(' ')}", *inner[1:]]
        return lines
    return [indent + _scalar(value)]


def _entry(head: str, value: Any, indent: str) -> list[str]:
    if (isinstance(value, Mapping) or _is_list(value)) and value:
        return [head, *_block(value, indent + "  ")]
    return [f"{head} {_scalar(value)}"]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) and name.lower() not in _WORDS else _text(name)


def _text(value: str) -> str:
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        text = repr(value)
        mantissa, mark, exponent = text.partition("e")
        return text if not mark else f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}"
    return json.dumps(value)
