"""One event of the engine's log in words. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from console.fields import Field
from console.format import clean_line, clock, job_name
from console.roles import Part, Role
from engine.events import Event

#: What an event is about, as a role: by its kind.
_ROLES = {
    "failed": Role.FAILED, "lost": Role.LOST, "asked": Role.YOU, "limit_seen": Role.WAIT, "held": Role.HELD,
    "cancelled": Role.OVER, "succeeded": Role.DONE, "launched": Role.RUN, "started": Role.RUN,
}  # fmt: skip

#: Characters of one value: what is longer is in the log, by `headway events --json`.
_MOST = 100


def kind_of(event: Event) -> str:
    return str(msgspec.to_builtins(event.body)["kind"])


def words_of(event: Event) -> str:
    """What an event says beside its kind: `by=operator  reason=...`; of a submission its title first."""
    fields = msgspec.to_builtins(event.body)
    fields.pop("kind")
    spec = fields.pop("spec", None)
    if spec is not None:
        fields.pop("title", None)
        fields = {"title": event.body.title if hasattr(event.body, "title") else "", **fields}
    said = (f"{name}={_short(value)}" for name, value in fields.items() if value not in (None, [], "", {}))
    return clean_line("  ".join(said))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST else text[: _MOST - 1] + "›"


def role_of(event: Event, now: int = 0) -> Role:
    return _ROLES.get(kind_of(event), Role.TEXT)


def sign_of(event: Event, now: int) -> Part:
    """The glyph before an event: that of the state that it leads to, where it leads to one."""
    role = role_of(event)
    glyphs = {Role.FAILED: "✗", Role.LOST: "?", Role.YOU: "!", Role.WAIT: "◔", Role.DONE: "✓", Role.RUN: "▸"}
    return glyphs.get(role, " "), role


FIELDS: tuple[Field[Event], ...] = (
    Field("TIME", 5, lambda event, now: clock(event.at), key=lambda event: event.seq),
    Field("SEQ", 7, lambda event, now: str(event.seq), key=lambda event: event.seq, to_right=True, drop=1),
    Field("JOB", 7, lambda event, now: job_name(event.job) if event.job is not None else "-",
          key=lambda event: event.job),
    Field("EVENT", 15, lambda event, now: kind_of(event).replace("_", " "), role=role_of),
    Field("WHAT", 0, lambda event, now: words_of(event), role=Role.TEXT),
)  # fmt: skip
