"""The overview: what needs you, who is at work, the limits, the last hour, and what is to come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from console import overview
from console.actions import Scope, bindings
from console.ahead import span_text
from console.first_run import first_run
from console.format import age, clean_line, job_name, money, number
from console.messages import JobsChanged, Pulse
from console.overview import Block, BoardLine
from console.pace import Pace
from console.roles import Part, Role
from console.screens.operating import Operating
from console.sizes import PANES_MOST, TALL
from console.tabs import Tab
from console.widgets.board import Board
from engine.decision import Card
from engine.errors import HeadwayError
from engine.model import AgentStatus, Estimate, Grade, Job, State
from engine.model.forecast import Forecast
from engine.model.trend import Trend
from engine.window import WindowState

if TYPE_CHECKING:
    from console.app import ConsoleApp
    from console.desk import Desk

#: Jobs that are drawn in time: those that run, and the first that wait.
_DRAWN = 60

#: Seconds between two reads of what moves by itself: limits, estimates, the last hour; and where jobs came or went.
_SLOW, _MOVED = 15.0, 4.0


class OverviewScreen(Operating):
    """One look at everything; `w` has the whole of it drawn in time."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.OVERVIEW)
    SCOPES = frozenset({Scope.OVERVIEW, Scope.LIST})

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.board = Board(desk)
        self.loaded = False
        self._problem = ""
        self._pace, self._slow_pace = Pace(), Pace()
        self._dirty = True
        self._slow_read = float("-inf")
        self._moved = False
        self._in_time = False
        self._cards: list[Card] = []
        self._at_work: list[Job] = []
        self._line: list[Job] = []
        self._windows: list[WindowState] = []
        self._trend: Trend | None = None
        self._estimates: dict[int, Estimate] = {}
        self._forecast: Forecast | None = None
        self._agents: list[AgentStatus] | None = None
        self._looked = False

    def body(self) -> ComposeResult:
        yield self.board

    def home(self) -> Widget | None:
        return self.board

    def live_scopes(self) -> frozenset[Scope]:
        return self.SCOPES | {Scope.EVERYWHERE}

    def on_mount(self) -> None:
        self.reload()

    def shape(self, width: int, height: int) -> None:
        self.call_after_refresh(self._draw)

    def resume(self) -> None:
        if self._dirty:
            self._start()

    # What is read, and when

    def reload(self) -> None:
        self._slow_read = float("-inf")
        self._start()

    def _start(self) -> None:
        self._dirty = False
        self._pace.start(time.monotonic())
        self.in_background(self._read, "overview")

    async def _read(self) -> None:
        """What an event may have changed; and what moves by itself, where that was not read for a while."""
        client, slow = self.desk.client, self._slow_due
        try:
            self._cards = await client.inbox()
            self._at_work = await client.jobs(f"state:{State.RUNNING},{State.GATING}", PANES_MOST)
            if slow:
                self._slow_read, self._moved = time.monotonic(), False
                self._windows = await client.limits()
                self._trend = await client.trend()
                self._line = await client.jobs("state:running,gating,ready,blocked", _DRAWN)
                found = await client.estimates([job.id for job in self._line])
                self._estimates = {one.job: one for one in found}
        except HeadwayError as error:
            self._problem, self._dirty = error.message, True
        else:
            self.loaded, self._problem = True, ""
        finally:
            self._pace.end(time.monotonic())
        self._draw()

    def on_jobs_changed(self, event: JobsChanged) -> None:
        self._moved = self._moved or event.reordered
        self._dirty = self._dirty or event.reordered or any(job.id in event.ids for job in self._at_work)

    @property
    def _slow_due(self) -> bool:
        return time.monotonic() - self._slow_read >= (_MOVED if self._moved else _SLOW)

    def beat(self, pulse: Pulse) -> None:
        wanted = self._dirty or ((self._at_work or self._moved) and self._slow_due)
        if wanted and self.desk.offline_since is None and pulse.steady and self._pace.due(time.monotonic()):
            self._start()
        if pulse.second:
            self._draw()

    def on_status_changed(self, event: object) -> None:
        if self.desk.offline_since is not None and not self.loaded:
            self._problem = self.desk.why_offline
        if self.desk.status is not None and self.desk.status.cards != len(self._cards):
            self._dirty = True
        self._draw()

    # What is shown

    def _draw(self) -> None:
        if self.is_attached and self.board.size.width:
            self.board.show(self._lines(self.desk.clock()))
            self.draw_frame(self.desk.clock())

    def _lines(self, now: int) -> list[BoardLine]:
        if not self.loaded:
            if not self._problem:
                return [BoardLine((("   reading", Role.MUTED),))]
            again = BoardLine((("   It is asked again by itself.", Role.MUTED),))
            return [BoardLine(((f"   {clean_line(self._problem)}", Role.FAILED),)), again]
        if not self._known_jobs and not self._in_time:
            return self.first_run()
        width, height = self.board.size
        if self._in_time:
            return overview.fold([self._to_come(now, width)], height)
        blocks = self._blocks(now, width)
        return overview.fold([*blocks, self._to_come(now, width)] if height >= TALL else blocks, height)

    @property
    def _known_jobs(self) -> bool:
        status = self.desk.status
        if status is None:
            return True
        counts = status.counts
        return bool(counts.unfinished + counts.succeeded + counts.failed + counts.cancelled)

    def first_run(self) -> list[BoardLine]:
        """What stands here before there is any job."""
        if not self._looked:
            self._looked = True
            self.in_background(self._look_for_agents, "agents")
        return [BoardLine(line) for line in first_run(self._agents, ascii=self.desk.ascii)]

    async def _look_for_agents(self) -> None:
        """Once: some programs take seconds to say their version."""
        found = await self.attempt(self.desk.client.agents())
        if found is not None:
            self._agents = found
            self._draw()

    def _blocks(self, now: int, width: int) -> list[Block]:
        desk, status = self.desk, self.desk.status
        slots, failed = (status.slots, status.counts.failed) if status is not None else (0, 0)
        found = [
            overview.needs_you(self._cards, failed, now),
            overview.workers(self._at_work, desk.progress, slots, now, ascii=desk.ascii),
            overview.limits(self._windows, now, width),
        ]
        return [*found, overview.of_late(self._trend, width)] if self._trend is not None else found

    def _to_come(self, now: int, width: int) -> Block:
        return overview.to_come(self._line, self._estimates, now, width, self.desk.ascii)

    def title_parts(self, now: int) -> tuple[Sequence[Part], Sequence[Part]]:
        left: list[Part] = [(" Overview   ", Role.HEADING)]
        if self._in_time:
            left.append(("what runs and what is to come", Role.MUTED))
        status = self.desk.status
        if status is not None and status.counts.unfinished:
            left.append((f"   {number(status.counts.unfinished)} not ended", Role.MUTED))
        return left, ()

    def idle_parts(self, now: int) -> Sequence[Part]:
        if self._in_time and self._forecast is not None:
            through = self._forecast.through
            said = [f"all of it {span_text(through.finish, through.finish_late, now, through.why)}"]
            if through.cost_micros is not None:
                said.append(f"about {money(through.cost_micros, Grade.ESTIMATED)} more")
            return [("; ".join(said), Role.MUTED)]
        line = self.board.line
        if line is None or line.job is None:
            return ()
        one = self._estimates.get(line.job)
        ends = f"ends in about {age(one.finish - now)}" if one is not None and one.finish is not None else ""
        what = "enter answers its card" if line.card is not None else "enter opens it"
        return [(f"{job_name(line.job)}  ", Role.MUTED), ("; ".join(filter(None, (ends, what))), Role.MUTED)]

    # What the keys do

    def targets(self) -> list[int]:
        line = self.board.line
        return [line.job] if line is not None and line.job is not None else []

    def show_job(self, job: int, tab: Tab) -> None:
        cast("ConsoleApp", self.app).open_job(job, tab)

    def on_board_moved(self, event: Board.Moved) -> None:
        self.draw_frame(self.desk.clock())

    def on_board_opened(self, event: Board.Opened) -> None:
        self.action_open_line()

    def action_open_line(self) -> None:
        line = self.board.line
        if line is None or line.job is None:
            self.say("nothing here to open")
        elif line.card is not None:
            cast("ConsoleApp", self.app).open_card(line.job)
        else:
            self._open_at(Tab.LOG)

    def action_in_time(self) -> None:
        """What runs and what is to come, drawn in time; again: back."""
        self._in_time = not self._in_time
        self._draw()
        if self._in_time:
            self._slow_read = float("-inf")
            self._start()
            self.in_background(self._play, "ahead")

    async def _play(self) -> None:
        found = await self.attempt(self.desk.client.forecast())
        if found is not None:
            self._forecast = found
            self.draw_frame(self.desk.clock())

    def action_leave_time(self) -> None:
        if self._in_time:
            self.action_in_time()
