"""The one vocabulary in which every agent's output is told to the rest of Headway.

An adapter turns each line that its agent prints into some of these. A line that it does not know becomes
`Unknown`: counted, kept on disk, never fatal.
"""

from __future__ import annotations

from msgspec import Struct

from engine.model import Usage


class AgentEvent(Struct, frozen=True, tag_field="kind"):
    """Base of the vocabulary; the tag says which word it is."""


class Started(AgentEvent, frozen=True, tag="started"):
    """The agent is up and has told who it is."""

    session: str | None = None
    model: str | None = None
    cwd: str | None = None
    agent_version: str | None = None


class Text(AgentEvent, frozen=True, tag="text"):
    """Words of the agent to the reader."""

    text: str


class Thinking(AgentEvent, frozen=True, tag="thinking"):
    text: str


class ToolCall(AgentEvent, frozen=True, tag="tool_call"):
    """The agent asks for a tool. `summary` is one line that names what matters: the path, the command."""

    id: str
    name: str
    summary: str
    context_tokens: int = 0


class ToolResult(AgentEvent, frozen=True, tag="tool_result"):
    id: str
    ok: bool
    output: str
    """Cut at 2,000 characters; the whole is in the run's files."""


class FileEdit(AgentEvent, frozen=True, tag="file_edit"):
    """A file was changed. The lines are None where the agent does not count them."""

    path: str
    added: int | None = None
    removed: int | None = None


class Context(AgentEvent, frozen=True, tag="usage"):
    """What the conversation weighs now, in tokens, as the newest model call told it."""

    context_tokens: int
    output_tokens: int = 0
    window: int | None = None
    """What the model's context holds, in tokens, where the agent says so."""


class Limit(AgentEvent, frozen=True, tag="limit", omit_defaults=True):
    """A rate-limit window as the provider sees it. `status` is allowed, warning or rejected."""

    window: str
    status: str
    used: float | None = None
    resets_at: int | None = None
    """Milliseconds UTC."""
    resets_in: int | None = None
    """Milliseconds from now, where that is what is told."""
    length: int | None = None
    """Milliseconds that the window spans, where that is told."""
    model: str = ""
    """The model or the family of models that it is a limit of; empty for all of the account."""
    signal: str = ""
    """What told it, where the agent has several: `rate_limit_event`, a header's name."""


class Retrying(AgentEvent, frozen=True, tag="retrying"):
    """The agent met an error of its provider and tries again by itself."""

    attempt: int
    delay_ms: int
    status: int | None
    error: str


class Compacted(AgentEvent, frozen=True, tag="compacted"):
    """The agent shortened its own conversation."""

    before_tokens: int | None
    after_tokens: int | None
    trigger: str


class Permission(AgentEvent, frozen=True, tag="permission"):
    """A tool use that the agent's permission mode refused."""

    tool: str
    message: str


class Ask(AgentEvent, frozen=True, tag="ask"):
    """The agent waits for an answer before it goes on."""

    id: str
    tool: str
    summary: str


class Result(AgentEvent, frozen=True, tag="result"):
    """The end of a run, by the agent's own word. An agent may print several; the last one counts."""

    ok: bool
    text: str
    usage: tuple[Usage, ...] = ()
    denied: tuple[str, ...] = ()
    """Tools whose use was refused, by name, once for each refusal."""
    window: int | None = None
    """What the context of the run's model holds, in tokens, where the agent says so."""


class Output(AgentEvent, frozen=True, tag="output"):
    """A plain line of a program that speaks no protocol, and every line of standard error."""

    text: str


class Notice(AgentEvent, frozen=True, tag="notice"):
    """Something known and of no weight for the state: a status, a hook, a heartbeat."""

    text: str


class Unknown(AgentEvent, frozen=True, tag="unknown"):
    """A line that the adapter does not know: its first 200 characters."""

    line: str


AnyAgentEvent = (
    Started
    | Text
    | Thinking
    | ToolCall
    | ToolResult
    | FileEdit
    | Context
    | Limit
    | Retrying
    | Compacted
    | Permission
    | Ask
    | Result
    | Output
    | Notice
    | Unknown
)


class LogLine(Struct, frozen=True):
    """One event of an attempt's output. `next` is the byte offset at which a reader resumes after it."""

    attempt: int
    stream: str
    """`stdout` or `stderr`."""
    next: int
    event: AnyAgentEvent
