"""A synthetic language of known entropy, which is a lower bound on any model's loss.

Words are spelled in syllables and end with a space. Every word belongs to one class. The class of the next word depends
on the class of the last one, and the word is drawn within its class:

    P(word | all words before) = P(class of word | class of the last word) · P(rank of word in its class)

both by power laws; each class has a different order of preference for the next. A word identifies its class and a space
ends every word, so the past determines the state. With π the stationary distribution of the classes:

    entropy of a word  h = Σ_c π_c H(next class | c) + H(rank)        entropy of a byte = h / mean length of a word.

There is always more to learn, by power laws: letters and spellings first, then frequent words, then the classes of
rarer and rarer words and what follows them. All weights are integers that sum to a power of two, and all randomness is
raw bits of PCG64 (a stream that NumPy keeps stable), so the text is the same on every machine and NumPy version, and
its entropy is exact.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

CLASSES, RANKS = 16, 64  # chosen: 1,024 words; with four times as many, short runs learn only the syllables
WORDS = 1_000_000  # chosen: 5 MB, ten times the Python documentation, generated in under a second
SEED = 20_240_707  # arbitrary; part of the language's definition
BITS = 16  # of one draw: weights sum to 2^16
#: Zipf's law has power 1. Between classes 2 (chosen): few followers are likely, so context is worth learning.
RANK_POWER, CLASS_POWER = 1, 2
#: ranks of each class spelled in at most 1 and 2 syllables (chosen); as in real languages, frequent words are short
SHORT_RANKS = (3, 16)
ONSETS, VOWELS = "bcdfghjklmnprstv", "aeiou"


@dataclass(frozen=True, eq=False)
class Language:
    """The words and their probabilities: C classes of R words each, most frequent first."""

    lexicon: tuple[tuple[bytes, ...], ...]  #: [class][rank], each with its trailing space
    followers: NDArray[np.int64]  #: P(next class | class) · 2^BITS, shape (C, C)
    ranks: NDArray[np.int64]  #: P(rank) · 2^BITS, the same in each class, shape (R,)

    @property
    def stationary(self) -> NDArray[np.float64]:
        """π, how often each class occurs in a long text, shape (C,): the solution of π P = π with Σ π = 1."""
        chain = self.followers / 2**BITS
        equations = np.vstack([chain.T - np.eye(len(chain)), np.ones(len(chain))])
        solution: NDArray[np.float64] = np.linalg.lstsq(equations, np.eye(len(chain) + 1)[-1])[0]
        return solution

    @property
    def word_entropy(self) -> float:
        """Entropy of the next word given all words before it, in nats."""
        between = -np.sum(self.stationary[:, None] * _plogp(self.followers / 2**BITS))
        return float(between - np.sum(_plogp(self.ranks / 2**BITS)))

    @property
    def word_bytes(self) -> float:
        """Mean length of a word in bytes, including its space."""
        lengths_CxR = np.array([[len(word) for word in words] for words in self.lexicon])
        return float(self.stationary @ lengths_CxR @ (self.ranks / 2**BITS))

    @property
    def entropy(self) -> float:
        """Entropy of the next byte given all bytes before it, in nats; no model's expected loss is lower."""
        return self.word_entropy / self.word_bytes


@cache
def language() -> Language:
    """The only language of this module."""
    chance = np.random.PCG64(SEED)
    orders_CxC = np.argsort(chance.random_raw(CLASSES * CLASSES).reshape(CLASSES, CLASSES), axis=1, kind="stable")
    followers_CxC = np.empty((CLASSES, CLASSES), dtype=np.int64)
    np.put_along_axis(followers_CxC, orders_CxC, _power_law(CLASSES, CLASS_POWER)[None], axis=1)
    return Language(_lexicon(chance), followers_CxC, _power_law(RANKS, RANK_POWER))


def words(count: int, seed: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(classes, ranks) of the first `count` words of the text `seed`, each of shape (count,)."""
    spoken = language()
    chance = np.random.PCG64([SEED, seed])
    draws_Nx2 = chance.random_raw(2 * count).reshape(count, 2) >> (64 - BITS)
    # what each of the 2^BITS values of a draw means, by previous class; bytes, since Python indexes them fast
    followers = [np.repeat(np.arange(CLASSES, dtype=np.uint8), row).tobytes() for row in spoken.followers]
    classes, last = bytearray(), 0
    for draw in draws_Nx2[:, 0].tolist():
        last = followers[last][draw]
        classes.append(last)
    ranks_N = np.searchsorted(np.cumsum(spoken.ranks), draws_Nx2[:, 1].astype(np.int64), side="right")
    return np.frombuffer(bytes(classes), dtype=np.uint8).astype(np.int64), ranks_N


def spell(classes_N: NDArray[np.int64], ranks_N: NDArray[np.int64]) -> bytes:
    """The text of these words."""
    lexicon = [word for row in language().lexicon for word in row]
    return b"".join([lexicon[index] for index in (classes_N * RANKS + ranks_N).tolist()])


def _power_law(count: int, power: int) -> NDArray[np.int64]:
    """Integer weights near 1/k^power for k = 1 … count that sum to 2^BITS; the first absorbs the rounding."""
    shares = [(2**40) // k**power for k in range(1, count + 1)]
    weights = [(share << BITS) // sum(shares) for share in shares]
    weights[0] += 2**BITS - sum(weights)
    return np.array(weights, dtype=np.int64)


def _lexicon(chance: np.random.PCG64) -> tuple[tuple[bytes, ...], ...]:
    """Distinct words for every class and rank, in random order among those of one length."""
    syllables = [onset + vowel for onset in ONSETS for vowel in VOWELS]
    rows: list[list[bytes]] = [[] for _ in range(CLASSES)]
    for length, until in enumerate((*SHORT_RANKS, RANKS), start=1):
        each = until - len(rows[0])
        # the first of a random order of all words of this length
        chosen = np.argsort(chance.random_raw(len(syllables) ** length), kind="stable")[: CLASSES * each]
        for index, number in enumerate(chosen.tolist()):
            digits = [number // len(syllables) ** place % len(syllables) for place in range(length)]
            rows[index % CLASSES].append("".join(syllables[digit] for digit in digits).encode() + b" ")
    return tuple(tuple(row) for row in rows)


def _plogp(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """p ln p, and 0 at 0: in a long power law, weights that round to 0 belong to words that never occur."""
    return np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0)
