"""Items as rows of `memory.db`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from engine.memory.item import Item, Kind, Source, Standing

COLUMNS = (
    "id", "scope", "kind", "standing", "text", "subject", "tags", "created_at", "updated_at", "valid_from", "valid_to",
    "verify_by", "superseded_by", "importance", "use_count", "last_used_at", "helped", "failed", "verified_count",
    "contradicted_count", "last_verified_at", "source", "transcript", "position", "embed_model", "embed_dim",
)  # fmt: skip


def values_of(one: Item, scope: int) -> tuple[Any, ...]:
    """Of all columns but the last two, which say what made its vector. `scope`: the number of its scope."""
    return (
        one.id, scope, one.kind, one.standing, one.text, one.subject, as_json(one.tags),
        one.created_at, one.updated_at, one.valid_from, one.valid_to, one.verify_by, one.superseded_by,
        one.importance, one.use_count, one.last_used_at, one.helped, one.failed, one.verified_count,
        one.contradicted_count, one.last_verified_at, as_json(one.source), one.transcript, one.position,
    )  # fmt: skip


def item_of(row: Sequence[Any], scope: Callable[[int], str]) -> Item:
    """From all columns. `scope`: the name of a scope by its number."""
    given = dict(zip(COLUMNS, row, strict=True))
    given["scope"] = scope(given["scope"])
    given["kind"], given["standing"] = Kind(given["kind"]), Standing(given["standing"])
    given["tags"] = msgspec.json.decode(given["tags"], type=list[str])
    given["source"] = msgspec.json.decode(given["source"], type=Source)
    return Item(**given)


def as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
