"""What the agents themselves keep of their sessions on this machine, read for what each message used.

Only here to be held against the ledger. A line that is not known is passed over: these files are not written for us.
"""

from __future__ import annotations

import glob
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from engine.agents import opencode_lines as opencode
from engine.agents.claude_lines import SYNTHETIC, ApiUsage, Message
from engine.agents.claude_usage import used as of_claude
from engine.agents.codex_lines import Payload, RecordHead
from engine.agents.codex_lines import used as of_codex
from engine.agents.gemini_lines import RecordLine, answered
from engine.agents.lines import decode, moment
from engine.agents.logins import LOGINS
from engine.money import Entry

#: Where each agent keeps what it knows of a session, below the directory that `engine.agents.logins` names its root.
PLACES: Mapping[str, tuple[str, ...]] = {
    "claude": ("projects/*/{session}.jsonl", "projects/*/{session}/**/*.jsonl"),
    "codex": ("sessions/*/*/*/rollout-*-{session}.jsonl",),
    "opencode": ("opencode/opencode.db",),
    "gemini": (".gemini/tmp/*/chats/session-*-{session8}.jsonl",),
}
#: Agents whose books hold every call of the model. Those of the others leave some out (compactions, classifiers).
WHOLE = frozenset({"codex", "opencode"})
FILE_BYTES = 256 << 20  #: a longer file is not read: no session is that long
_STEPS = "SELECT id, data FROM part WHERE session_id = ? AND data LIKE '%step-finish%' ORDER BY id"


@dataclass(frozen=True, slots=True)
class Book:
    """What an agent keeps of one session."""

    entries: tuple[Entry, ...]
    micros: int | None = None
    """The money of the whole session, where it keeps that."""


def read(agent: str, session: str, env: Mapping[str, str]) -> Book | None:
    """An agent's own book of a session; None where it has none. `env`: that of its attempts. Reads files."""
    login = LOGINS.get(agent)
    if login is None or agent not in PLACES or not session.replace("-", "").replace("_", "").isalnum():
        return None
    root = env.get(login.root) or f"{env.get('HOME') or ''}/{login.default}".rstrip("/")
    named = [place.replace("{session}", session).replace("{session8}", session[:8]) for place in PLACES[agent]]
    paths = [Path(found) for one in named for found in glob.glob(f"{glob.escape(root)}/{one}", recursive=True)]  # noqa: PTH207 - they are absolute
    paths = [path for path in sorted(set(paths)) if path.is_file() and path.stat().st_size <= FILE_BYTES]
    if not paths:
        return None
    if agent == "opencode":
        return _opencode(paths[0], session)
    found: dict[str, Entry] = {}
    micros = None
    for path in paths:
        lines = path.read_bytes().splitlines()
        if agent == "claude":
            micros = _dollars(lines) if path.stem == session else micros
        found.update((one.message, one) for one in _READERS[agent](lines))
    return Book(tuple(found.values()), micros) if found else None


class _ClaudeLine(Struct):
    type: str | None = None
    timestamp: str | None = None
    message: Message | None = None


class _CostState(Struct, rename={"total": "totalCostUSD"}):
    type: str | None = None
    total: float | None = None


def claude(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Messages of claude, under the ids that it prints too. A message comes once for each of its blocks."""
    for line in lines:
        told = decode(line, _ClaudeLine)
        if told is None or told.type != "assistant" or told.message is None:
            continue
        name, model = told.message.id, told.message.model
        usage = decode(told.message.usage, ApiUsage)
        if name and model and model != SYNTHETIC and usage is not None:
            yield Entry(message=name, usage=of_claude(model, usage), at=moment(told.timestamp))


def _dollars(lines: Iterable[bytes]) -> int | None:
    """What claude says at the end of a session's file that all of it has cost."""
    states = [one for line in lines if (one := decode(line, _CostState)) and one.type == "cost-state"]
    total = states[-1].total if states else None
    return None if total is None else round(total * 1_000_000)


def codex(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Responses of a rollout."""
    model = "unknown"
    for line in lines:
        head = decode(line, RecordHead)
        if head is None or head.type not in ("turn_context", "token_usage_record"):
            continue
        payload = decode(head.payload, Payload) or Payload()
        model = payload.model or model
        if payload.response_id and payload.usage is not None:
            yield Entry(message=payload.response_id, usage=of_codex(model, payload.usage), at=moment(head.timestamp))


def gemini(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Answers in the record of a chat."""
    for line in lines:
        told = decode(line, RecordLine)
        usage = answered(told) if told is not None else None
        if told is not None and told.id is not None and usage is not None:
            yield Entry(message=told.id, usage=usage, at=moment(told.timestamp))


def _opencode(path: Path, session: str) -> Book | None:
    """Steps in opencode's database, which all sessions of a home share."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(_STEPS, (session,)).fetchall()
            made = dict(connection.execute("SELECT id, time_created FROM part WHERE session_id = ?", (session,)))
    except sqlite3.Error:
        return None
    found = []
    for name, data in rows:
        part = decode(str(data).encode(errors="replace"), opencode.Part)
        if part is not None and part.tokens is not None:
            usage = opencode.used("unknown", part.tokens, part.cost)
            found.append(Entry(message=str(name), usage=usage, at=made.get(name)))
    return Book(tuple(found)) if found else None


_READERS = {"claude": claude, "codex": codex, "gemini": gemini}
