"""What is on record of the accounts: shares that were told of their windows, and what they have used of late."""

from __future__ import annotations

import msgspec

from engine import events as log
from engine.dispatch.burn import HOUR_MS, SPAN_MS, Reading
from engine.model import Grade, Target
from engine.model.forecast import Pace
from engine.store import Transaction

LOOKED_AT = 100_000  #: events, from the newest on; in so many there is at least an hour of a busy engine

# Each change of a window is logged. There is no index for events without a job, so the newest are looked at.
_SEEN = (
    "SELECT at, body FROM events WHERE seq > (SELECT ifnull(max(seq), 0) FROM events) - ? AND job IS NULL "
    'AND body LIKE \'{"kind":"limit_seen"%\' ORDER BY seq'
)
_USED = (
    "SELECT a.agent, a.account, sum(u.input_tokens + u.output_tokens + u.cache_read_tokens + u.cache_write_tokens), "
    "sum(u.cost_micros), u.grade FROM ledger AS u JOIN attempts AS a ON a.id = u.attempt WHERE u.at >= ? "
    "GROUP BY a.agent, a.account, u.grade"
)
_DECODE = msgspec.json.Decoder(log.LimitSeen).decode


def readings(tx: Transaction) -> list[Reading]:
    """The shares of windows that were told of late, the oldest first."""
    found = []
    for at, body in tx.connection.execute(_SEEN, (LOOKED_AT,)):
        seen = _DECODE(body)
        if seen.used is not None:
            found.append(Reading(seen.account or seen.agent, seen.window, at, seen.used, seen.resets_at))
    return found


def paces(tx: Transaction) -> list[Pace]:
    """What each account has used within the last hour."""
    order = list(Grade)
    sums: dict[str, Pace] = {}
    for agent, account, tokens, cost, grade in tx.connection.execute(_USED, (tx.now - SPAN_MS,)):
        name = Target(agent, None, account).paid_by
        one = sums.get(name) or Pace(
            account=name, hours=SPAN_MS / HOUR_MS, tokens=0, cost_micros=None, grade=Grade.REPORTED
        )
        money = one.cost_micros if cost is None else (one.cost_micros or 0) + cost
        worst = max(one.grade, Grade(grade), key=order.index)
        sums[name] = msgspec.structs.replace(one, tokens=one.tokens + tokens, cost_micros=money, grade=worst)
    return [sums[name] for name in sorted(sums)]
