"""The rehearsal agent: plays a scenario in the format of a real one, with no model and no key."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from engine.agents import claude_asking
from engine.agents.asking import Request, Told
from engine.agents.base import LOCAL, Agent, Assignment, Exit, Launch, Outcome, Parser
from engine.agents.claude_parser import ClaudeParser
from engine.agents.codex import Codex
from engine.agents.codex_parser import CodexParser
from engine.agents.events import AnyAgentEvent
from engine.agents.gemini_parser import GeminiParser
from engine.agents.lines import decode
from engine.agents.opencode_parser import OpencodeParser
from engine.config import AccountSettings, AgentSettings
from engine.errors import UsageError
from engine.model import Permission
from engine.money import Entry
from engine.rehearsal import agent as stand_in
from engine.rehearsal import scenario, screen
from engine.rehearsal.scenario import Format

DEFAULT = "fix-bug"
#: The formats whose agents take a session id that was chosen for them; the others make their own.
CHOOSING: tuple[Format, ...] = ("claude", "gemini")


def _command(settings: AgentSettings) -> list[str]:
    return list(settings.command or [sys.executable, "-I", "-S", str(Path(stand_in.__file__).resolve())])


class Rehearsal(Agent):
    """Its model is the name of a scenario, or the path of a YAML file, behind the format to play it in.

    `fix-bug` is played as claude would, `codex/fix-bug`, `opencode/fix-bug` and `gemini/fix-bug` as these. What is
    printed is read by the parsers of the real agents.
    """

    name = "rehearsal"
    chooses_session = True
    resumable = True
    forks = True
    provider = True
    asks = True
    stall_seconds = 900
    footprint = 30 << 20
    skill_folders = (".claude/skills", ".agents/skills")  # where those look that it plays
    pass_env = ("HEADWAY_REHEARSAL_SPEED",)
    keeps = ("sessions",)

    def accept(self, model: str | None, settings: AgentSettings, account: AccountSettings | None = None) -> None:
        """A path may begin where the job will work, so that only a name can be looked up now."""
        if model is not None and not scenario.is_path(model):
            scenario.find(model, Path())

    def asks_whom(self, model: str | None, env: Mapping[str, str], settings: AgentSettings) -> str | None:
        return LOCAL

    def launch(self, assignment: Assignment) -> Launch:
        played = scenario.find(assignment.model or DEFAULT, assignment.workspace)
        if assignment.resumes is not None and assignment.fork and assignment.session is not None:
            if played.format != "claude":
                raise UsageError(f"{played.format} is not asked for a copy of a session: only claude is")
            session = ["--resume", assignment.resumes, "--session-id", assignment.session]
        elif assignment.resumes is not None:
            session = ["--resume", assignment.resumes]
        elif assignment.session is None:
            raise UsageError("a rehearsal needs a session id")
        else:
            session = ["--session-id", assignment.session] if played.format in CHOOSING else []
        asks = assignment.permission is Permission.ASK and played.format in scenario.ASKING
        talk = ["--permission-prompt-tool", "stdio"] if asks else []
        prompt = claude_asking.first(assignment.prompt) if asks else assignment.prompt.encode(errors="replace")
        command = _command(assignment.settings)
        script = str(assignment.run_dir / "scenario.json")
        argv = [*command, *assignment.settings.args, played.format, "--scenario", script, *session, *talk]
        env = {}
        if played.format != "claude":
            sessions = str(_sessions(assignment.run_dir))
            argv += ["--sessions", sessions]
            env = {"CODEX_HOME": sessions} if played.format == "codex" else {}
        return Launch(
            argv=argv,
            env=env,
            files={"scenario.json": scenario.script(played), "prompt": prompt},
            stdin="prompt",
            talks=asks,
        )

    def answer(self, request: Request, told: Told) -> bytes:
        return claude_asking.answer(request, told)

    def record(self, env: Mapping[str, str]) -> str | None:
        """Where it plays codex, it writes codex's record."""
        return Codex().record(env) if "CODEX_HOME" in env else None

    def version_command(self, settings: AgentSettings) -> list[str]:
        return [*_command(settings), "--version"]

    def interactive(self, assignment: Assignment) -> Launch:
        """A screen of a few words, which keeps to the session and runs commands in its directory."""
        if assignment.resumes is None:
            raise UsageError("rehearsal: there is no session to go on with")
        program = str(Path(screen.__file__).resolve())
        return Launch(argv=[sys.executable, "-I", "-S", program, "--resume", assignment.resumes])

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        format_, answers = scenario.told(model or DEFAULT)
        if format_ is None:
            return _ByFirstLine(self.name, answers, resumed=resumed)
        return _parser(format_, self.name, answers, resumed=resumed)


def _sessions(run_dir: Path) -> Path:
    """What a job's attempts remember lies with the first of them, and goes when its files go."""
    return run_dir.with_name("1") / "sessions"


def _parser(format_: Format, name: str, model: str, *, resumed: bool) -> Parser:
    match format_:
        case "claude":
            return ClaudeParser(name)
        case "codex":
            return CodexParser(name, model=model, resumed=resumed)
        case "opencode":
            return OpencodeParser(name, model=model, resumed=resumed)
        case "gemini":
            return GeminiParser(name, resumed=resumed)


class _Head(Struct):
    type: str | None = None
    session: str | None = field(default=None, name="sessionID")


class _ByFirstLine(Parser):
    """For a scenario in a file, of whose `format` only the launch knows: the first line tells it."""

    def __init__(self, name: str, model: str, *, resumed: bool) -> None:
        self._name, self._model, self._resumed = name, model, resumed
        self._chosen: Parser | None = None

    @property
    def _parser(self) -> Parser:
        return self._chosen or ClaudeParser(self._name)

    @property
    def asking(self) -> Mapping[str, Request]:
        return self._parser.asking

    @property
    def spent(self) -> Sequence[Entry]:
        return self._parser.spent

    def freshly_spent(self) -> Sequence[Entry]:
        return self._parser.freshly_spent()

    @property
    def said_done(self) -> bool:
        return self._parser.said_done

    def line(self, line: bytes) -> list[AnyAgentEvent]:
        if self._chosen is None:
            self._chosen = _parser(_spoken(line), self._name, self._model, resumed=self._resumed)
        return self._chosen.line(line)

    def record(self, line: bytes) -> list[AnyAgentEvent]:
        return self._parser.record(line)

    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        return self._parser.outcome(end, stderr_tail)


def _spoken(line: bytes) -> Format:
    head = decode(line, _Head) or _Head()
    if head.session is not None:
        return "opencode"
    return {"thread.started": "codex", "init": "gemini"}.get(head.type or "", "claude")  # type: ignore[return-value]
