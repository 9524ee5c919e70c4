"""Shares as bars and series as small hills, in text of one style: a line costs bytes only where it changes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

#: From nothing to the most.
_HILLS = "▁▂▃▄▅▆▇█"


def meter(share: float | None, width: int) -> str:
    """A share as a bar of so many cells; more than all is a full one, and nothing known an empty one."""
    full = 0 if share is None else min(width, max(0, int(share * width + 0.5)))
    if share is not None and share > 0 and full == 0 and width:
        full = 1  # something is not nothing
    return "█" * full + "·" * (width - full)


def spark(values: Sequence[float], width: int) -> str:
    """The newest `width` values, each as high as its share of the greatest; a space where there was nothing."""
    shown = list(values[-width:])
    most = max(shown, default=0)
    if most <= 0:
        return " " * len(shown)
    return "".join(" " if one <= 0 else _HILLS[min(7, int(one / most * 7 + 0.5))] for one in shown)
