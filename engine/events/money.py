"""What the usage of an attempt comes to."""

from __future__ import annotations

from engine.model import Grade, Usage


def total_cost(usage: tuple[Usage, ...]) -> tuple[int | None, Grade]:
    """The money in some usages: the sum of what is known, under the worst grade of its parts.

    Returns micro-dollars (None where no part is known) and the grade.
    """
    known = [u.cost_micros for u in usage if u.cost_micros is not None]
    if not usage or not known:
        return None, Grade.UNKNOWN
    order = list(Grade)
    worst = max((u.grade if u.cost_micros is not None else Grade.UNKNOWN for u in usage), key=order.index)
    return sum(known), worst
