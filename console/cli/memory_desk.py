"""How the commands of memory reach it: through the engine that serves the home, else by themselves, in its place."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from console.cli import context as ctx
from engine.errors import NoEngineError, UsageError
from engine.paths import expanded

if TYPE_CHECKING:
    from engine.memory.memory import Memory
    from engine.server.calls.memory import RemoteMemory

    Desk = Memory | RemoteMemory

T = TypeVar("T")


def ask(context: ctx.Context, question: Callable[[Desk], Awaitable[T]], *, writes: bool = False) -> T:
    """Ask the memory of a home. Where no engine serves it, its lock is held meanwhile, so that none can begin.

    Only what writes makes a home where there is none.
    """
    try:
        return context.ask(lambda client: question(client.memory))
    except NoEngineError:
        return _alone(context.home, question, writes=writes)


def _alone(home: Path, question: Callable[[Memory], Awaitable[T]], *, writes: bool) -> T:
    import asyncio
    import os
    from functools import partial

    from engine import __version__
    from engine.agents.registry import agents
    from engine.clock import now_ms
    from engine.config import find_settings, load_settings
    from engine.home import Holder, Lock, make_home
    from engine.memory.memory import Memory
    from engine.redact import Secrets
    from engine.runner.credentials import resolve

    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    settings = load_settings(find_settings(home, config_home), agents())
    secrets = Secrets()
    secrets.learn_from(os.environ)

    async def work() -> T:
        memory = Memory(home, settings, secrets, partial(resolve, own=os.environ))
        try:
            return await question(memory)
        finally:
            await memory.close()

    if not writes and not home.exists():
        return asyncio.run(work())
    make_home(home)
    home = home.resolve()
    lock = Lock.take(home, Holder(os.getpid(), __version__, now_ms()))
    try:
        return asyncio.run(work())
    finally:
        lock.release()


def scopes_of(words: list[str] | None) -> list[str]:
    """Scopes as a person writes them; a project may be a directory from here: `project:.`, `project:../api`."""
    return [_scope(word) for word in words or []]


def _scope(word: str) -> str:
    kind, _, name = word.partition(":")
    if "\0" in name:
        raise UsageError("a scope holds no byte 0")
    if kind == "project" and (name.startswith((".", "~")) or "/" in name):
        return f"project:{expanded(name).resolve()}"
    return word


def numbers(words: list[str]) -> list[int]:
    """Numbers of things that are remembered: 12, 3-7."""
    found: list[int] = []
    for word in words:
        span = re.fullmatch(r"#?(\d{1,18})(?:-(\d{1,18}))?", word)
        if span is None or (span[2] is not None and not 0 <= int(span[2]) - int(span[1]) < 10_000):
            raise UsageError(f"{word!r} is no number of anything remembered; `headway memory list` shows them")
        found += range(int(span[1]), int(span[2] or span[1]) + 1)
    return list(dict.fromkeys(found))


def moment_of(word: str | None, what: str) -> int | None:
    """A span from now (`30d`), or a date, as milliseconds UTC."""
    from datetime import datetime

    from engine.clock import now_ms
    from engine.units import milliseconds

    if word is None:
        return None
    try:
        return now_ms() + milliseconds(word)
    except ValueError:
        pass
    try:
        return int(datetime.fromisoformat(word).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise UsageError(f"{what} {word}: no time; write 30d, 12h or 2026-12-31") from None
