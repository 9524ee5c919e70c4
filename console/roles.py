"""What pieces of text are and stand on: the words between what is said and how a theme shows it. No Textual in here."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a piece of text is; a theme says how that looks."""

    TEXT = "text"
    MUTED = "muted"
    HEADING = "heading"
    ACCENT = "accent"
    KEY = "key"
    TOOL = "tool"
    ADDED = "added"
    REMOVED = "removed"
    YOU = "you"
    FAILED = "failed"
    LOST = "lost"
    RUN = "run"
    WAIT = "wait"
    DONE = "done"
    HELD = "held"
    IDLE = "idle"
    OVER = "over"


TEXT_ROLES = (
    Role.TEXT, Role.MUTED, Role.HEADING, Role.ACCENT, Role.KEY, Role.TOOL, Role.ADDED, Role.REMOVED,
)  # fmt: skip
STATUS_ROLES = tuple(role for role in Role if role not in TEXT_ROLES)


class Ground(StrEnum):
    """What a piece of text stands on."""

    PAGE = "page"
    BAR = "bar"
    HEAD = "head"
    """The header line of a pane or a table."""
    HEAD_FOCUS = "head_focus"
    CURSOR = "cursor"
    CURSOR_IDLE = "cursor_idle"
    """The cursor's row while the keys go elsewhere."""


Part = tuple[str, Role]
"""A piece of one line and what it is."""
