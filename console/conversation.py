"""An attempt's conversation in words: which it is, how full it is, how often it was compacted. Pure."""

from __future__ import annotations

from console.format import clean_line, plural, tokens
from engine.model import Attempt
from engine.sessions import Compaction, Session


def session_text(attempt: Attempt) -> str | None:
    """The session's name, and how the attempt came to it."""
    if attempt.session is None:
        return None
    name = clean_line(attempt.session)
    if attempt.forked:
        return f"{name} (a fork of {clean_line(attempt.resumes or '?')})"
    return f"{name} (resumed)" if attempt.resumes else name


def context_text(held: int | None, window: int | None) -> str | None:
    """How much a conversation holds: `41k of 200k, 20 %`, or without the share where the window is not known."""
    if not held:
        return None
    return f"{tokens(held)} of {tokens(window)}, {held / window:.0%}" if window else tokens(held)


def compacted_text(session: Session, attempt: int | None = None) -> str | None:
    """The compactions of a session, or of one attempt in it."""
    found = [one for one in session.compactions if attempt is None or one.attempt == attempt]
    if not found:
        return None
    times = plural(len(found), "time")
    return f"{times}: {'; '.join(map(_compaction, found[-3:]))}"


def _compaction(one: Compaction) -> str:
    before = tokens(one.before_tokens) if one.before_tokens is not None else "?"
    after = tokens(one.after_tokens) if one.after_tokens is not None else "?"
    return f"{before} to {after} ({clean_line(one.trigger)})"
