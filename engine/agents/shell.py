"""Plain commands: the prompt is a command line for the shell, its exit code is the verdict."""

from __future__ import annotations

from collections import deque

from engine.agents.base import RESULT_LIMIT, Agent, Assignment, Exit, Launch, Outcome, Parser
from engine.agents.events import AnyAgentEvent, Output
from engine.model import Failure

LAST_LINES = 20  #: of standard output, kept as the result
ARGUMENT_LIMIT = 100_000  #: bytes of a command that goes on the command line: Linux takes 131,072 of one argument
LINE_LIMIT = 2_000  #: characters of one line that are shown


class ShellParser(Parser):
    """Every line is output, none has a meaning."""

    newest_only = True

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    def line(self, line: bytes) -> list[AnyAgentEvent]:
        text = line.decode(errors="replace")[:LINE_LIMIT]
        self._last.append(text)
        return [Output(text)]

    def outcome(self, end: Exit, stderr_tail: str) -> Outcome:
        result = "\n".join(self._last)[-RESULT_LIMIT:] or None
        if end.code == 0:
            return Outcome(succeeded=True, result=result)
        said = next((line for line in reversed(self._last) if line.strip()), "")[:300]
        failure, reason = _meaning(end.code)
        return Outcome(succeeded=False, failure=failure, reason=f"{reason}: {said}" if said else reason, result=result)


def _meaning(code: int) -> tuple[Failure, str]:
    """What a shell's exit code says: POSIX, Shell & Utilities 2.8.2."""
    if code in (126, 127):
        return Failure.SPAWN_FAILED, "the command could not be run" if code == 126 else "command not found"
    if code > 128:
        return Failure.CRASHED, f"ended by signal {code - 128}"
    return Failure.UNKNOWN, f"exit {code}"


class Shell(Agent):
    """`/bin/sh -c`, or the program that the settings name."""

    name = "shell"
    footprint = 8 << 20

    def launch(self, assignment: Assignment) -> Launch:
        command = assignment.settings.command or ["/bin/sh"]
        argv = [*command, *assignment.settings.args]
        script = assignment.prompt.encode(errors="surrogatepass")
        if len(script) < ARGUMENT_LIMIT:
            return Launch(argv=[*argv, "-c", assignment.prompt], stderr="stdout")
        file = str(assignment.run_dir / "command")
        return Launch(argv=[*argv, file], files={"command": script}, stderr="stdout")

    def parser(self, *, model: str | None = None, resumed: bool = False) -> Parser:
        return ShellParser()
