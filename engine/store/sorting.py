"""Lists in another order than the queue's: one statement a list, its words fixed and never the operator's."""

from __future__ import annotations

from engine.model.listing import Sort, SortKey

QUEUE = Sort()

#: Since it ended, began or was submitted, as a list shows it: when that was, so that no clock is needed to sort by it.
_SINCE = (
    "CASE WHEN state IN ('succeeded', 'failed', 'cancelled') THEN ended_at "
    "WHEN state IN ('running', 'gating') THEN started_at ELSE created_at END"
)
#: What needs the operator most comes first, as the signs of the console have it.
_RANK = (
    "CASE WHEN waiting_on IS NOT NULL AND ended_at IS NULL THEN 0 WHEN state = 'failed' THEN 1 "
    "WHEN state IN ('running', 'gating') THEN 2 WHEN held_by IS NOT NULL AND ended_at IS NULL THEN 5 "
    "WHEN state = 'ready' AND not_before IS NULL THEN 6 WHEN state = 'ready' THEN 3 WHEN state = 'blocked' THEN 4 "
    "WHEN state = 'succeeded' THEN 7 ELSE 8 END"
)

#: What a list is sorted by, and whether the largest comes first. NULL is less than anything to SQLite.
_BY: dict[SortKey, tuple[tuple[str, ...], bool]] = {
    SortKey.ID: (("id",), True),
    SortKey.PRIORITY: (("priority",), False),
    SortKey.STATE: ((_RANK,), False),
    SortKey.AGE: ((_SINCE,), False),
    SortKey.COST: (("cost_micros",), True),
    SortKey.TOKENS: (("input_tokens + output_tokens",), True),
    SortKey.ATTEMPTS: (("attempts",), True),
    SortKey.TITLE: (("title COLLATE NOCASE",), False),
    SortKey.AGENT: (("agent", "ifnull(model, '')", "ifnull(account, '')"), False),
    SortKey.PROJECT: (("project",), False),
}


def sorted_ids(sort: Sort) -> str:
    """The statement that lists ids in an order: `{where}` and a limit are to be filled in."""
    what, falling = _BY[sort.key]
    direction = "DESC" if falling is not sort.reverse else "ASC"
    by = ", ".join(f"{one} {direction}" for one in what)
    last = "" if sort.key is SortKey.ID else ", id DESC"
    return f"SELECT id FROM jobs WHERE {{where}} ORDER BY {by}{last} LIMIT ?"
