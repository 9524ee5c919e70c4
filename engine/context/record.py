"""Reads what attempts left behind, for the hand-off to the next one: their output, and the log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine import events as log
from engine.agents import events as said
from engine.agents.base import Agent
from engine.context.handoff import Deeds, Edited, Ran
from engine.model import Failure, Target
from engine.runner.run_dir import run_dir
from engine.store.rows import AttemptRow
from engine.upkeep.kept import last_bytes

OUTPUT_BYTES = 4 << 20  #: of an attempt's output that are read, from its end
ATTEMPTS = 4  #: the newest, whose output is read
KEPT = 200  #: deeds of each kind that are kept, the newest
#: Names of the tools with which agents run commands; those that only look at something are left out.
COMMANDS = frozenset({"bash", "shell", "command", "command_execution", "exec", "exec_command", "run_shell_command"})


class Reading:
    """Gathers deeds from events, in bounded memory."""

    def __init__(self) -> None:
        self._edited: deque[Edited] = deque(maxlen=KEPT)
        self._ran: deque[Ran] = deque(maxlen=KEPT)
        self._said: deque[str] = deque(maxlen=KEPT)
        self._denied: deque[str] = deque(maxlen=KEPT)
        self._open: dict[str, str] = {}

    def take(self, event: said.AnyAgentEvent) -> None:
        match event:
            case said.Text(text=text) if text.strip():
                self._said.append(text.strip())
            case said.ToolCall(id=name, name=tool, summary=summary) if tool.lower() in COMMANDS:
                self._open[name] = summary
            case said.ToolResult(id=name, ok=ok, output=output) if name in self._open:
                self._ran.append(Ran(self._open.pop(name), ok, "" if ok else output))
            case said.FileEdit(path=path, added=added, removed=removed):
                self._edited.append(Edited(path, added or 0, removed or 0))
            case said.Permission(tool=tool):
                self._denied.append(tool)
            case _:
                pass

    def close(self) -> None:
        """The output of one attempt has ended: what is open was cut off in it."""
        self._ran.extend(Ran(what) for what in self._open.values())
        self._open.clear()

    @property
    def deeds(self) -> Deeds:
        return Deeds(tuple(self._edited), tuple(self._ran), tuple(self._said), tuple(self._denied))


def deeds_of(home: Path, attempts: Sequence[AttemptRow], agents: Mapping[str, Agent]) -> Deeds:
    """What the newest of some attempts did, by what they printed. Blocks: call it in a thread."""
    reading = Reading()
    for tried in [one for one in attempts if one.agent in agents and one.started_at is not None][-ATTEMPTS:]:
        parser = agents[tried.agent].parser()
        data, start = last_bytes(run_dir(home, tried.job, tried.number).stdout, OUTPUT_BYTES)
        lines = data.split(b"\n")
        for line in lines[1:] if start else lines:  # the first one of a tail is half a line
            for event in parser.line(line):
                reading.take(event)
        reading.close()
    return reading.deeds


def history(events: Iterable[log.Event], most: int = 40) -> list[str]:
    """What happened to a job, one line each: the newest of it."""
    told: deque[str] = deque(maxlen=most)
    for event in events:
        if words := _told(event.body):
            told.append(f"{datetime.fromtimestamp(event.at / 1000, UTC):%Y-%m-%d %H:%M} {words}")
    return list(told)


def moved(events: Iterable[log.Event]) -> str:
    """The last move of a job, in one line; empty where it has stayed with its target."""
    newest = [event.body for event in events if isinstance(event.body, log.Rerouted)]
    return _told(newest[-1]) if newest else ""


def _told(body: log.AnyBody) -> str:
    match body:
        case log.Claimed(number=number):
            return f"attempt {number} began"
        case log.Requeued(failure=failure, reason=reason):
            return f"it failed as {_words(failure)}: {reason}"
        case log.Failed(failure=failure, reason=reason):
            return f"the job failed as {_words(failure)}: {reason}"
        case log.Succeeded():
            return "the attempt was taken for done"
        case log.Cancelled(by=by):
            return f"{by} cancelled it"
        case log.Retried(by=by):
            return f"{by} put it back into the queue"
        case log.Rerouted(by=by, was=was, agent=agent, model=model, account=account, cause=cause, reason=reason):
            because, said = (f", because of {cause},", f": {reason}") if cause is not None else ("", "")
            return f"{by} sent it{because} from {was or 'its target'} to {Target(agent, model, account)}{said}"
        case log.Edited(by=by):
            return f"{by} changed the task"
        case log.Compacted(before_tokens=before, after_tokens=after):
            return f"the agent shortened its conversation from {before or '?'} to {after or '?'} tokens"
        case log.Attached(by=by):
            return f"{by} took over its session"
        case log.Detached(by=by):
            return f"{by} left its session"
        case log.HandedOff(why=why):
            return f"a new session began: {why}"
        case _:
            return ""


def _words(failure: Failure) -> str:
    return str(failure).replace("_", " ")
