"""The small face that every agent shows to the engine.

An adapter is pure: it builds a command line from an assignment, and turns bytes into events. It starts nothing,
reads no file and knows no clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.agents.asking import Request, Told
from engine.agents.events import AnyAgentEvent
from engine.config import AccountSettings, AgentSettings, KeyReference
from engine.model import Failure, Permission, Usage
from engine.money import Entry

LOCAL = "local"  #: the provider of what does not leave this machine
STANDING = "standing.md"  #: the file of a run directory with what holds for the whole conversation
RESULT_LIMIT = 4_000  #: characters of an agent's last word that are kept in the database


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an adapter is told of one attempt."""

    prompt: str
    model: str | None
    workspace: Path
    run_dir: Path
    settings: AgentSettings
    session: str | None = None
    """The session id that Headway chose for a new conversation (a UUID), where the agent lets us choose."""
    resumes: str | None = None
    """The session to go on with, instead of a new one."""
    fork: bool = False
    """Go on with a copy of it, under the name in `session`."""
    account: AccountSettings | None = None
    system: str | None = None
    """The job's system prompt."""
    schema: Mapping[str, object] | None = None
    """The JSON Schema that the job's answer has to be valid against."""
    permission: Permission = Permission.PRESET
    """Who decides whether it may use a tool. `ASK` only for an agent that can."""
    standing: str = ""
    """What holds for the whole conversation, for the end of its system prompt. Only where the agent `appends`."""
    skills: Sequence[str] = ()
    """Those that lie where it looks for skills by itself, in `Agent.skill_folders`."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start an attempt. `env` comes on top of the allow-listed environment."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files to write into the run directory before the start, by name."""
    place: Mapping[str, bytes] = field(default_factory=dict)
    """Files that are to lie in the workspace while it runs, by their path there."""
    stdin: str | None = None
    """The file of the run directory to give as standard input; /dev/null otherwise."""
    talks: bool = False
    """Standard input stays open after that file, so that the agent can be answered."""
    stderr: str = "stderr"
    """The file of the run directory for standard error; `stdout` lets both stand in the order they were written."""
    pass_env: Sequence[str] = ()
    """Names of the engine's own environment that this attempt needs, beyond those of its agent."""
    keys: Mapping[str, KeyReference] = field(default_factory=dict)
    """Variables to be filled with keys that are kept elsewhere."""
    key_variable: str | None = None
    """Where this attempt takes the key of its account, if that is not its agent's usual variable."""


@dataclass(frozen=True, slots=True)
class ToolServer:
    """An MCP server that an agent is to start."""

    name: str
    command: Sequence[str]
    run_dir: Path
    """Where files of its configuration may be put."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that an agent's protocol wants to be said to it once."""

    name: str
    file: str | None = None
    """The file of the run directory that it is made of."""
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: the code that a shell would show, 128 + N for signal N."""

    code: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to, judged from the agent's own events and its exit together."""

    succeeded: bool
    failure: Failure | None = None
    reason: str | None = None
    result: str | None = None
    usage: tuple[Usage, ...] = ()
    session: str | None = None
    retry_at: int | None = None
    """Milliseconds UTC: when the provider says that the limit ends."""
    denied: tuple[str, ...] = ()
    unknown_lines: int = 0


class Parser(ABC):
    """Reads one attempt's standard output from its first line to its last. Holds the state of that one reading."""

    @abstractmethod
    def line(self, line: bytes) -> list[AnyAgentEvent]:
        """The events in one line, given without its newline. Never raises: what it cannot read is `Unknown`."""

    @abstractmethod
    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        """The verdict, once the process has ended and every line was read.

        `stderr_tail` (the last lines of standard error) may only be quoted in a reason, never decide a class.
        """

    def record(self, line: bytes) -> list[AnyAgentEvent]:
        """The events in one line of the agent's own record of the session (`Agent.record`), of those that this
        attempt added to it. Never raises. What it does not know is not counted: the record is not written for us.
        """
        return []

    newest_only: bool = False
    """Its verdict needs the last lines alone, so that a flood of output may be jumped over."""

    @property
    def asking(self) -> Mapping[str, Request]:
        """What the agent waits for now, by the request's name."""
        return {}

    @property
    def errands(self) -> Sequence[Errand]:
        """What its protocol wants to hear by now, in order. Those that were heard may be among them."""
        return ()

    @property
    def spent(self) -> Sequence[Entry]:
        """What it has used so far, each message once: the same entries with each reading of the same lines."""
        return ()

    def freshly_spent(self) -> Sequence[Entry]:
        """Those of `spent` that are new or have changed since this was last asked; there may be others among them."""
        return self.spent

    @property
    def said_done(self) -> bool:
        """The agent has printed its last event: a process that lives on after it is only lingering."""
        return False


class Agent(ABC):
    """A program that does attempts."""

    name: str
    chooses_session: bool = False
    """Headway picks the session id before the start."""
    resumable: bool = False
    forks: bool = False
    """It can go on with a copy of a session, which itself stays as it is."""
    converses: bool = False
    """It is told in words what to do, so that a new session can be told what was done before it. So is every
    resumable one."""
    provider: bool = False
    """It talks to a provider, whose limits and outages all of its jobs share."""
    stall_seconds: float = 0
    """How long an attempt may go without an event where nobody says so; 0 is for ever."""
    lingers: float | None = None
    """Seconds that it is given to end after its last word, where that is less than the settings say."""
    footprint: int
    """Bytes that an attempt holds, for as long as none has been measured."""
    pass_env: tuple[str, ...] = ()
    """Names of the engine's own environment that this agent needs, beyond the allow-list."""
    addresses: tuple[str, ...] = ()
    """Further names there that may send it to another provider, and are passed on where that one is asked."""
    package: str | None = None
    """What npm installs it from, for an agent that is a program of its own, called as it is named."""
    effects: bool = True
    """An attempt may change something. Without effects it needs no workspace, and may always be run again."""
    keeps: tuple[str, ...] = ()
    """Directories of a job's first run directory in which it keeps something of its own."""
    answers: bool = False
    """It takes a system prompt and the schema of its answer."""
    takes_tools: bool = False
    """It starts MCP servers that it is told of. Others are given the tools where the settings say so for them."""
    skill_folders: tuple[str, ...] = ()
    """Below its workspace: where it looks for skills by itself. Without one it is told them in its prompt."""

    sheets: tuple[str, ...] = ()
    """The file of its workspace in which it looks for what always holds, and that which it reads instead, if any."""
    appended_by: str = ""
    """By what it takes more for its system prompt, for an agent that `appends`."""

    def appends(self, settings: AgentSettings, env: Mapping[str, str]) -> bool:
        """It takes `Assignment.standing` for the end of its system prompt. `env` is the attempt's."""
        return bool(self.appended_by)

    def instructed(self, path: str, env: Mapping[str, str]) -> Mapping[str, str]:
        """What more its environment has to say, so that it reads a file of instructions. `env` is the attempt's."""
        return {}

    @property
    def takes_skills(self) -> bool:
        """It is told something in words, be it a prompt. A command is not."""
        return bool(self.skill_folders) or self.resumable or self.converses or self.answers

    def personal_skills(self, env: Mapping[str, str]) -> Sequence[str]:
        """Absolute folders outside of the workspace where its user keeps skills for it. `env` is the attempt's."""
        return ()

    def own_folders(self, env: Mapping[str, str]) -> Sequence[str]:
        """Where it keeps logins, settings and sessions outside of its workspace: what it has to write in a sandbox."""
        return ()

    def accept(  # noqa: B027 - most agents take any
        self, model: str | None, settings: AgentSettings, account: AccountSettings | None = None
    ) -> None:
        """Raise `UsageError` for a model that no attempt could be started with, or not by that account."""

    def asks_whom(self, model: str | None, env: Mapping[str, str], settings: AgentSettings) -> str | None:
        """The provider whose servers are told what a job says; `LOCAL` for none, None where it cannot be known.

        `env` is what the settings set for the agent and its account.
        """
        return None if self.provider else LOCAL

    def check(self, settings: AgentSettings) -> None:  # noqa: B027 - most agents take anything
        """Raise `UsageError` for settings that no attempt could be started with."""

    def version_command(self, settings: AgentSettings) -> list[str] | None:
        """What prints the agent's version, at no cost; None where nothing does."""
        return None

    def interactive(self, assignment: Assignment) -> Launch | None:
        """The agent's own screen, at a terminal, in the session `assignment.resumes`; None where it has none.

        Only `argv` and `env` count. Raises `UsageError` where the assignment cannot be put to it.
        """
        return None

    def offered(
        self, launch: Launch, server: ToolServer, env: Mapping[str, str]
    ) -> tuple[Launch, Mapping[str, str]] | None:
        """The command line that also starts an MCP server, whose tools it may use unasked, and further variables.

        `env` is the attempt's; the variables have the last word over it. None for an agent that starts none. The
        user's own servers stay as they are.
        """
        return None

    asks: bool = False
    """It can wait for the operator's answer: `Permission.ASK`."""

    def answer(self, request: Request, told: Told) -> bytes:
        """What to write to its standard input. Only for an agent that asks."""
        raise NotImplementedError

    def errand(self, errand: Errand, content: bytes) -> bytes:
        """What to write for an errand. `content` is that of its file."""
        raise NotImplementedError

    @abstractmethod
    def launch(self, assignment: Assignment) -> Launch:
        """The command line, raising `UsageError` where the assignment cannot be put to this agent."""

    def record(self, env: Mapping[str, str]) -> str | None:
        """Where this agent writes its own record of a session, if it tells there what its output leaves out.

        An absolute path in which `*` stands for any name, `{session}` for the session and `{session8}` for the first
        eight characters of it. `env` is the attempt's.
        """
        return None

    @abstractmethod
    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        """A fresh reader for one attempt. `model`: the one that was asked for; `resumed`: it goes on with a session."""
