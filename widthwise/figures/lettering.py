"""Lettering: how long words are in the fonts of a figure, and how they are broken or cut to fit."""

import re

#: Of the font size, in DejaVu Sans, the widest font that a figure is likely to be drawn in.
_NARROW, _WIDE, _OTHER = 0.41, 0.98, 0.64
_NARROW_LETTERS, _WIDE_LETTERS = frozenset(" fijlrt.,:;!'|()[]/-I·"), frozenset("mwMW@%—")
_BOLD = 1.1  # times the regular length
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2
_FULL_WIDTH = 0x2E80  # from here on, scripts whose letters take a square


def length(words: str, size: float, *, bold: bool = False) -> float:
    """Return the pixels that words take at most."""
    return sum(map(_letter, words)) * size * (_BOLD if bold else 1.0)


def _letter(letter: str) -> float:
    if ord(letter) >= _FULL_WIDTH:
        return 1.05
    return _NARROW if letter in _NARROW_LETTERS else _WIDE if letter in _WIDE_LETTERS else _OTHER


def clean(words: str) -> str:
    """Return words without the characters that XML does not allow, even escaped."""
    return _NOT_XML.sub("�", words)


def fitting(words: str, pixels: float, size: float, *, bold: bool = False) -> str:
    """Return words, cut short if they are longer than this."""
    cleaned = clean(words)
    if length(cleaned, size, bold=bold) <= pixels:
        return cleaned
    kept = cleaned
    while len(kept) > 1 and length(kept + "…", size, bold=bold) > pixels:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def wrapped(words: str, pixels: float, size: float, *, bold: bool = False) -> list[str]:
    """Return words as lines that fit; a word that is longer than a line is cut short."""
    lines: list[str] = []
    for word in clean(words).split(" "):
        if lines and length(f"{lines[-1]} {word}", size, bold=bold) <= pixels:
            lines[-1] += f" {word}"
        elif word:
            lines.append(fitting(word, pixels, size, bold=bold))
    return lines
