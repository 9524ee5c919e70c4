"""Attempts without processes: the rehearsal players print into memory, call by call, and keep a clock that is told.

What they print are the lines of the real CLIs, and it is read by the parsers of the real agents.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine.drill.provider import Answer, Verdict
from engine.rehearsal import scenario
from engine.rehearsal.day import Account
from engine.rehearsal.players.claude import Claude
from engine.rehearsal.players.codex import Codex
from engine.rehearsal.players.gemini import Gemini
from engine.rehearsal.players.opencode import Opencode
from engine.rehearsal.players.player import Ended, Player, Run
from engine.rehearsal.players.wire import dumps
from engine.rehearsal.scenario import Fail, Format, Limit, Retry, Say, Scenario

KILLED, TERMINATED = 137, 143  #: the exits of a program that was ended by SIGKILL and by SIGTERM
HANDED_TOKENS = 1_500  #: of a hand-off, as a job of some calls has
_CLI_RETRIES = 2  #: of a call that was refused for no reason that has an end: the agents try again by themselves
_KINDS = {Verdict.CLOSED: "usage_limit", Verdict.BURST: "rate_limit", Verdict.OUTAGE: "overloaded"}


class _OnStage(Player):
    """A player that prints into memory, runs nothing, and asks for the time."""

    lines: list[bytes]
    clock: Callable[[], int]

    def put(self, line: dict[str, Any]) -> None:
        self.lines.append(dumps(line))

    def complain(self, words: str) -> None:
        pass

    def pause(self, ms: float) -> None:
        pass

    def shell(self, command: str, timeout: float) -> tuple[str, int]:
        return "ok", 0

    def now(self) -> float:
        return self.clock() / 1000

    def prompt(self) -> str:
        return "as rehearsed"


class _Claude(_OnStage, Claude):
    pass


class _Codex(_OnStage, Codex):
    pass


class _Gemini(_OnStage, Gemini):
    pass


class _Opencode(_OnStage, Opencode):
    pass


_PLAYERS: dict[Format, type[_OnStage]] = {
    "claude": _Claude,
    "codex": _Codex,
    "gemini": _Gemini,
    "opencode": _Opencode,
}


@dataclass(slots=True)
class Stage:
    """Where attempts are played. `folder` holds what the agents remember; `clock` tells milliseconds UTC."""

    folder: Path
    clock: Callable[[], int]
    tokens: int
    """Of the answer to one call."""
    done: dict[str, int] = field(default_factory=dict)
    """Calls that a conversation has behind it."""
    _scripts: dict[tuple[Format, str], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._notes.write_text("as rehearsed\n")

    @property
    def _notes(self) -> Path:
        """What the agents read."""
        return self.folder / "notes"

    @property
    def tool(self) -> scenario.Read:
        """What an agent does after a call of its model."""
        return scenario.Read(path=str(self._notes), tokens=self.tokens)

    def attempt(
        self, account: Account, job: int, session: str, *, resumed: bool, handed: str | None = None
    ) -> Performance:
        """Put an attempt on. `session`: the one to go on with, or a name for a new one; `handed`: whose state that is
        handed.
        """
        script = self._script(account)
        run = Run(session, resumed=resumed, pace=1, sessions=str(self.sessions(job)), model=account.model)
        player = _PLAYERS[account.format](script, run)
        player.lines, player.clock = [], self.clock
        behind = self.done.get(session, 0) if resumed else 0
        if handed is not None:
            player.context += HANDED_TOKENS
            behind = self.done.get(handed, 0)
        return Performance(self, player, resumed, behind)

    def sessions(self, job: int) -> Path:
        """Where the agents of a job keep their conversations."""
        return self.folder / str(job)

    def _script(self, account: Account) -> dict[str, Any]:
        known = self._scripts.get((account.format, account.model))
        if known is None:
            # What it says has no weight: the steps are given one by one.
            played = Scenario(
                about="a day", steps=[Say(text="Well.")], format=account.format, model=account.model,
                price=account.price,
            )  # fmt: skip
            known = self._scripts[account.format, account.model] = msgspec.json.decode(scenario.script(played))
        return known


class Performance:
    """One attempt on a stage. `code` is its exit, once it has ended."""

    def __init__(self, stage: Stage, player: _OnStage, resumed: bool, behind: int) -> None:
        self.behind = behind
        """Calls that need not be made again."""
        self._stage = stage
        self._player = player
        self.resumed = resumed
        self.code: int | None = None

    @property
    def session(self) -> str:
        player = self._player
        return player.thread if isinstance(player, Codex) else str(getattr(player, "session"))  # noqa: B009

    @property
    def cost_micros(self) -> int:
        """What the provider asks for it."""
        return round(self._player.bill.cost() * 1_000_000)

    @property
    def tokens(self) -> int:
        """All that were told and answered, as the provider counts them."""
        bill = self._player.bill
        return bill.input + bill.read + bill.written + bill.output

    def lines(self) -> list[bytes]:
        """What was printed since this was last asked."""
        lines, self._player.lines = self._player.lines, []
        return lines

    def begin(self) -> None:
        self._do(self._player.start)

    def served(self, answer: Answer, *, last: bool) -> None:
        """A call was answered. The agent tells of its window, and uses a tool or is done."""
        step = Say(text="All of it is done.", tokens=self._stage.tokens) if last else self._stage.tool
        reading = [] if answer.resets_at is None else [self._reading(answer)]
        self._perform(step, *reading)
        if self.code is None:
            self._stage.done[self.session] = self._stage.done.get(self.session, self.behind) + 1
        if last:
            self._do(self._player.finish)
            self._end(0)

    def refused(self, answer: Answer) -> None:
        """A call was refused. It ends the attempt, as it ends those of the real agents."""
        kind, resets = _KINDS[answer.verdict], self._seconds(answer)
        tries = () if answer.verdict is Verdict.CLOSED else (Retry(times=_CLI_RETRIES, status=_status(answer)),)
        self._perform(*tries, Fail(kind=kind, resets_in=resets))  # type: ignore[arg-type]

    def crash(self) -> None:
        """It is killed from outside, and says nothing."""
        self._end(KILLED)

    def stop(self) -> None:
        """It is ended by who knows better, and can be gone on with."""
        self._end(TERMINATED)

    def calls_to_refuse(self, answer: Answer) -> int:
        """How often the provider was asked before the agent gave up."""
        return 1 if answer.verdict is Verdict.CLOSED else 1 + _CLI_RETRIES

    def _reading(self, answer: Answer) -> Limit:
        return Limit(used=answer.used, resets_in=self._seconds(answer))

    def _seconds(self, answer: Answer) -> float:
        """From this second on, as the players count it: what they print is the very second that is told."""
        return max(0.0, (answer.resets_at or 0) // 1000 - self._stage.clock() // 1000)

    def _perform(self, *steps: scenario.AnyStep) -> None:
        self._do(lambda: self._player.perform([msgspec.to_builtins(step) for step in steps]))

    def _do(self, act: Callable[[], None]) -> None:
        if self.code is not None:
            return
        try:
            act()
        except Ended as end:
            self._end(int(end.args[0]))

    def _end(self, code: int) -> None:
        if self.code is not None:
            return
        self.code = code
        player = self._player
        if isinstance(player, Codex):
            player.record.close()
        elif isinstance(player, Opencode | Gemini) and player.memory.lock >= 0:
            os.close(player.memory.lock)


def _status(answer: Answer) -> int:
    return 429 if answer.verdict is Verdict.BURST else 529
