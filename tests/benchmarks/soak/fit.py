"""A straight line through what was sampled, and how sure its slope is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SURE = 1.96  #: standard errors to each side that hold the true slope in 95 of 100 cases


@dataclass(frozen=True, slots=True)
class Slope:
    """Of y over x, and how far it may be off."""

    each: float
    off: float

    @property
    def flat(self) -> bool:
        """It cannot be told from none."""
        return abs(self.each) <= self.off


def slope(xs: Sequence[float], ys: Sequence[float]) -> Slope:
    """By least squares. Neighbours are alike, so that there are fewer samples than it seems: AR(1)."""
    count = len(xs)
    if count < 3:
        return Slope(0.0, math.inf)
    middle_x, middle_y = sum(xs) / count, sum(ys) / count
    spread = sum((x - middle_x) ** 2 for x in xs)
    each = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
    rest = [y - middle_y - each * (x - middle_x) for x, y in zip(xs, ys, strict=True)]
    squares = sum(one * one for one in rest)
    if squares == 0:
        return Slope(each, 0.0)
    alike = min(0.95, max(0.0, sum(one * next_ for one, next_ in pairwise(rest)) / squares))
    error = math.sqrt(squares / (count - 2) / spread)
    return Slope(each, SURE * error * math.sqrt((1 + alike) / (1 - alike)))
