"""The made language: the same everywhere, with the entropy that it says, learnable but never below its floor."""

import hashlib
from math import log
from typing import Any

import jax
import numpy as np

from tests.engine.jobs import run_sweep
from workers.engine import synthetic
from workers.engine.data import load_corpus

UNIGRAMS = 2.79  # nats: entropy of single bytes of this language, held to the text below


def held_out_words() -> tuple[np.ndarray, np.ndarray, bytes]:
    """(classes, ranks) of the words that the held-out part is made of, and the text itself."""
    text = load_corpus("synthetic").held_out.tobytes()
    place = {word: index for index, word in enumerate(w for row in synthetic.language().lexicon for w in row)}
    numbers = np.array([place[word + b" "] for word in text.split()])
    return numbers // synthetic.RANKS, numbers % synthetic.RANKS, text


def test_the_text_is_the_same_on_every_machine_and_numpy() -> None:
    """Its digest when it was made. Another one means that stored losses no longer compare: it needs another name."""
    corpus = load_corpus("synthetic")
    assert corpus.sha256 == "45e0572f47b1f3f8ec0b8e838bdf834829a4162e29c1d9915037489b99a636b6"
    assert hashlib.sha256(corpus.train.tobytes() + corpus.held_out.tobytes()).hexdigest() == corpus.sha256


def test_words_can_be_told_apart_and_weights_are_exact() -> None:
    language = synthetic.language()
    words = [word for row in language.lexicon for word in row]
    assert len(set(words)) == synthetic.CLASSES * synthetic.RANKS
    assert all(word.index(b" ") == len(word) - 1 for word in words)  # no word begins another
    assert {int(row.sum()) for row in language.followers} == {2**synthetic.BITS}
    assert language.ranks.sum() == 2**synthetic.BITS
    assert language.followers.min() > 0
    assert (np.diff(language.ranks) <= 0).all()
    np.testing.assert_allclose(language.stationary @ language.followers / 2**synthetic.BITS, language.stationary)


def test_an_oracle_attains_the_floor_on_held_out_text() -> None:
    """It knows the language and reads byte by byte; what it misses is within the sampling error of its own losses."""
    classes_N, ranks_N, text = held_out_words()
    language, scale = synthetic.language(), 2**synthetic.BITS
    # P(byte | bytes before) multiplies up, over a word's bytes, to P(word | class before): spelled out for some words
    tries = {last: byte_losses(language, last) for last in range(3)}
    losses_N = -np.log(language.followers[classes_N[:-1], classes_N[1:]] / scale) - np.log(
        language.ranks[ranks_N[1:]] / scale
    )
    lengths_N = np.array([len(language.lexicon[c][r]) for c, r in zip(classes_N[1:], ranks_N[1:], strict=True)])
    for last in tries:
        for k in np.flatnonzero(classes_N[:-1] == last)[:20]:
            word = language.lexicon[classes_N[k + 1]][ranks_N[k + 1]]
            assert abs(sum(tries[last][word[: n + 1]] for n in range(len(word))) - losses_N[k]) < 1e-9
    floor = load_corpus("synthetic").entropy_floor
    assert floor is not None
    attained = losses_N.sum() / lengths_N.sum()
    # of a ratio of sums, over blocks of words since neighbours depend on each other
    blocks = (losses_N - floor * lengths_N)[: len(losses_N) // 100 * 100].reshape(-1, 100).sum(axis=1)
    error = blocks.std() * len(blocks) ** 0.5 / lengths_N.sum()
    assert error < 0.003
    assert abs(attained - floor) < 3 * error
    assert len(text) > 100 * synthetic.RANKS


def byte_losses(language: synthetic.Language, last: int) -> dict[bytes, float]:
    """−ln P(last byte of a prefix | the prefix before it, the class before the word), for every prefix of a word."""
    mass = {b"": 1.0}
    for c, row in enumerate(language.lexicon):
        for r, word in enumerate(row):
            chance = language.followers[last, c] * language.ranks[r] / 4.0**synthetic.BITS
            for n in range(1, len(word) + 1):
                mass[word[:n]] = mass.get(word[:n], 0.0) + chance
    return {prefix: -log(p / mass[prefix[:-1]]) for prefix, p in mass.items() if prefix}


def test_bytes_alone_say_little() -> None:
    counts = np.bincount(load_corpus("synthetic").held_out, minlength=256)
    shares = counts[counts > 0] / counts.sum()
    assert abs(-np.sum(shares * np.log(shares)) - UNIGRAMS) < 0.01


def test_a_trained_proxy_learns_and_stays_above_the_floor(spec: dict[str, Any]) -> None:
    spec |= {"steps": 100, "proxy": spec["proxy"] | {"dataset": "synthetic", "sequence_length": 8, "batch_size": 128}}
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        (trial,) = run_sweep(spec, {"width": 16, "learning_rates": [0.03], "seeds": [0]})
    floor = load_corpus("synthetic").entropy_floor
    assert floor is not None
    assert trial.loss is not None
    assert floor < trial.loss < UNIGRAMS - 0.3
