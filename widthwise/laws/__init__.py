"""Published absolute laws of the optimal learning rate, as a cross-check of what a user's own runs say.

Pure Python. `published_at(place)` evaluates every law at a place, and says which hold there; `published_cautions`
compares them with a prediction. docs/sweeps.md lists the laws, and those that are left out with the reason.
"""

from widthwise.laws.agreement import published_cautions
from widthwise.laws.evaluation import PublishedRate, published_at
from widthwise.laws.law import PublishedLaw
from widthwise.laws.registry import LAWS

__all__ = ["LAWS", "PublishedLaw", "PublishedRate", "published_at", "published_cautions"]
