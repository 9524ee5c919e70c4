"""Small pictures as text of one style: a line of bars, a gauge, a bar in time. Pure.

One style a picture, because each change of style is a dozen bytes on the line, and none of them blinks.
"""

from __future__ import annotations

from collections.abc import Sequence

_STEPS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[int], width: int | None = None) -> str:
    """A bar for each value, the largest of full height; what is not nothing is seen. At most the newest `width`."""
    shown = list(values) if width is None else list(values)[max(0, len(values) - max(0, width)) :]
    most = max(shown, default=0)
    if most <= 0:
        return _STEPS[0] * len(shown)
    top = len(_STEPS) - 1
    return "".join(_STEPS[max(1 if value > 0 else 0, round(value / most * top))] for value in shown)


def gauge(share: float, width: int) -> str:
    """How much of something is used, in so many cells. Anything used is seen, and full only what is full."""
    share = min(1.0, max(0.0, share))
    full = round(share * width)
    full = min(max(full, 1 if share > 0 else 0), width - (1 if share < 1 else 0))
    return "█" * full + "░" * (width - full)


def bar(start: int, end: int | None, first: int, last: int, width: int, sign: str = "█") -> str:
    """A stretch of time on an axis from `first` to `last` in so many cells; an open end reaches to its edge."""
    if width <= 0 or last <= first:
        return ""
    scale = width / (last - first)
    left = min(max(0, int((start - first) * scale)), width - 1)
    right = width if end is None else min(max(left + 1, round((end - first) * scale)), width)
    return " " * left + sign * (right - left) + " " * (width - right)
