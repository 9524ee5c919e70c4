"""One worker's pane: a header line that says who works on what for how long, and the live tail of its output."""

from __future__ import annotations

from typing import ClassVar

from textual.geometry import Region
from textual.strip import Strip
from textual.worker import Worker

from console.desk import Desk
from console.draw import draw, width_of
from console.follow import LogReader
from console.format import age, clean_line, fit, job_name, money, tokens
from console.roles import Ground, Part, Role
from console.sizes import PANE_LINES
from console.status import mark_of, shown_age
from console.transcript import Entry
from console.widgets.tail import Tail
from engine.model import UNFINISHED, Job, State

#: Lines of the past that a pane starts with.
_PAST = 100

#: A worker that said nothing for so many milliseconds is called quiet, in steps of so many seconds.
_QUIET, _QUIET_STEP = 10_000, 10


#: Cells of its title that a narrow pane keeps before it tells more numbers.
_TITLE_LEAST = 14


class Pane(Tail):
    """Shows one job until it is given another one. A job that ended stays, dimmed."""

    HEAD_ROWS: ClassVar[int] = 1

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, most=PANE_LINES)
        self.job: Job | None = None
        self._attempt: int | None = None
        self._reader: LogReader | None = None
        self._worker: Worker[None] | None = None
        self._heard_at = 0
        self._head: tuple[Part, ...] = ()

    @property
    def live(self) -> bool:
        """Its job still runs: the pane is not free for another one."""
        return self.job is not None and self.job.state in (State.RUNNING, State.GATING)

    def take(self, job: Job) -> None:
        """Show this job: from now on a new one, or what became of the one shown."""
        fresh = self.job is None or job.id != self.job.id or job.attempts != self._attempt
        was_live = self.live
        self.job = job
        if fresh and job.state in UNFINISHED:
            self._begin(job)
        if was_live != self.live:
            self.refresh()

    def _begin(self, job: Job) -> None:
        self._attempt = job.attempts
        self._heard_at = self.desk.clock()
        if self._worker is not None:
            self._worker.cancel()
        self.replace(())
        self.refresh()
        self._reader = LogReader(self.desk.client, job.id, job.attempts or None, _PAST, self._hear)
        self._worker = self.run_worker(self._reader.run, group="log", exclusive=True, exit_on_error=False)

    def _hear(self, new: list[Entry]) -> None:
        self._heard_at = self.desk.clock()
        self.add(new)

    def beat(self, now: int) -> None:
        """Draw what is new."""
        self.flush()
        parts = self._head_parts(now)
        if parts != self._head:
            self._head = parts
            self.refresh(Region(0, 0, self.size.width, 1))

    def _head_parts(self, now: int) -> tuple[Part, ...]:
        job = self.job
        if job is None:
            return (("   idle", Role.MUTED),)
        mark = mark_of(job, now)
        over = not self.live
        facts: list[str] = []
        if job.model or job.agent:
            facts.append(clean_line(job.model or job.agent))
        facts.append(age(shown_age(job, now), 5) if self.live else mark.word)
        if context := self._fullness():
            facts.append(context)
        if job.input_tokens or job.output_tokens:
            facts.append(f"{tokens(job.input_tokens + job.output_tokens)} tok")
        if job.cost_micros is not None:
            facts.append(money(job.cost_micros, job.cost_grade))
        if quiet := self._quiet(now):
            facts.append(quiet)
        if not self.following and self.below:
            facts.append(f"{self.below} below")
        sign: list[Part] = [(f" {mark.ascii if self.desk.ascii else mark.glyph} ", mark.role)]
        name: Part = (f"{job_name(job.id)} ", Role.OVER if over else Role.HEADING)
        tail: Part = (f"  {'  '.join(facts)} ", Role.MUTED)
        room = self.size.width - width_of([*sign, name, tail])
        while room < _TITLE_LEAST and len(facts) > 2:
            facts.pop(-2 if quiet else -1)
            tail = (f"  {'  '.join(facts)} ", Role.MUTED)
            room = self.size.width - width_of([*sign, name, tail])
        title = fit(clean_line(job.title), room) if room > 4 else ""
        return (*sign, name, (title, Role.OVER if over else Role.TEXT), tail)

    def _fullness(self) -> str:
        """How much its conversation holds, and how full that makes it where the window is known."""
        job = self.job
        told = self.desk.progress.get(job.id) if job is not None else None
        held = self._reader.context_tokens if self._reader else 0
        window = self._reader.context_window if self._reader else 0
        if told is not None and told.context_tokens:
            held, window = told.context_tokens, told.context_window or window
        if not held:
            return ""
        return f"{tokens(held)} {held / window:.0%}" if window else tokens(held)

    def _quiet(self, now: int) -> str:
        silent = now - self._heard_at
        if not self.live or silent < _QUIET:
            return ""
        return f"quiet {age(silent, _QUIET_STEP)}"

    def head(self, width: int) -> Strip:
        self._head = self._head_parts(self.desk.clock())
        ground = Ground.HEAD_FOCUS if self.has_focus else Ground.HEAD
        return draw(self.desk.ink, self._head, width, ground=ground, ascii=self.desk.ascii)

    def tint(self, part: Part) -> Part:
        return part if self.live or self.job is None else (part[0], Role.OVER)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
