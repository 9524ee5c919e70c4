"""The queue: the table of jobs, and beside it the workers at work."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.containers import Container
from textual.events import Key
from textual.widget import Widget

from console.actions import Scope, bindings
from console.format import clean_line, job_name, number, plural
from console.messages import JobsChanged, Pulse
from console.pace import Pace
from console.roles import Part, Role
from console.screens.filtering import Filtering
from console.sizes import PAGE_ROWS, PANES_MOST, SIDE_BY_SIDE
from console.source import JobSource
from console.status import mark_of
from console.tabs import Tab
from console.widgets.pane import Pane
from console.widgets.rows import Rows
from console.widgets.wall import Wall
from engine.errors import HeadwayError
from engine.model import State

if TYPE_CHECKING:
    from console.app import ConsoleApp
    from console.desk import Desk

#: Seconds after a key in which the live list keeps its order, so that no key meets another row than was seen.
_GRACE = 1.0


class QueueScreen(Filtering):
    """Table and panes, side by side or one above the other."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.JOBS, Scope.TABLE, Scope.MARKS, Scope.QUEUE)
    SCOPES = frozenset({Scope.TABLE, Scope.MARKS, Scope.QUEUE})

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.source = JobSource()
        self.rows = Rows(desk, self.source)
        self.wall = Wall(desk)
        self.loaded = False
        self._problem = ""
        self._order_pace, self._running_pace = Pace(), Pace()
        self._order_dirty = self._running_dirty = True
        self._added = 0
        self._missed_panes: frozenset[int] = frozenset()
        self._touched = float("-inf")

    def body(self) -> Iterable[Widget]:
        yield Container(self.rows, self.wall, id="queue")

    def home(self) -> Widget | None:
        return self.rows

    def on_key(self, event: Key) -> None:
        self._touched = time.monotonic()

    def shape(self, width: int, height: int) -> None:
        stacked = width < SIDE_BY_SIDE
        self.set_class(stacked, "-stacked")
        self.wall.set_stacked(stacked)

    def live_scopes(self) -> frozenset[Scope]:
        scope = Scope.TEXT if isinstance(self.focused, Pane) else Scope.LIST
        return super().live_scopes() | {scope}

    # What is read, and when

    def reload(self) -> None:
        self._order_dirty = self._running_dirty = True
        self._order_pace, self._running_pace = Pace(), Pace()
        self.source.changed(self.source.order[slice(*self.rows.window)])
        if not self.rows.frozen:
            self._start_order()
        self._start_running()
        self._start_rows()

    def reconnected(self) -> None:
        """A list may be long: it is read again only where something that happened says so."""
        if not self.loaded:
            super().reconnected()
        elif self.in_sight:
            self._start_running()
            self._start_rows()

    def on_jobs_changed(self, event: JobsChanged) -> None:
        self.source.changed(event.ids)
        if event.reordered:
            self._order_dirty = self._running_dirty = True
            self._added += event.added
        if self.in_sight:
            self._start_rows(event.ids & self.wall.shown())
        else:
            self._missed_panes |= event.ids

    def resume(self) -> None:
        missed, self._missed_panes = self._missed_panes, frozenset()
        self._start_rows(missed & self.wall.shown())

    def beat(self, pulse: Pulse) -> None:
        now = time.monotonic()
        if self.desk.offline_since is None and pulse.steady:
            live = not self.rows.frozen and now - self._touched >= _GRACE
            if self._order_dirty and live and self._order_pace.due(now) and not self.ask.busy:
                self._start_order()
            if self._running_dirty and self._running_pace.due(now):
                self._start_running()
        if pulse.second:
            self.rows.refresh_rows(pulse.now)
        if pulse.steady:
            self.title_line.show(*self.title_parts(pulse.now))
        self.wall.beat(pulse)

    def _start_order(self) -> None:
        self._order_dirty = False
        self._order_pace.start(time.monotonic())
        self.in_background(partial(self._read_order, self.filter), "order")

    async def _read_order(self, filter: str) -> None:
        try:
            order = await self.desk.client.order(filter)
        except HeadwayError as error:
            self._problem = error.message
            self._order_dirty = True
            self._show_empty()
            return
        finally:
            self._order_pace.end(time.monotonic())
        self._show_order(order, keep=self.rows.cursor > 0)

    def show_matches(self, order: array[int]) -> None:
        self._order_dirty = False
        self._show_order(order, keep=True)

    def _show_order(self, order: array[int], *, keep: bool) -> None:
        self.loaded, self._problem, self._added = True, "", 0
        self.rows.take_order(order, keep=keep)
        self._show_empty()
        self.draw_frame(self.desk.clock())

    def _start_running(self) -> None:
        self._running_dirty = False
        self._running_pace.start(time.monotonic())
        self.in_background(self._read_running, "running")

    async def _read_running(self) -> None:
        client = self.desk.client
        try:
            jobs = await client.jobs(f"state:{State.RUNNING}", PANES_MOST)
            ended = self.wall.shown() - {job.id for job in jobs}
            others = await client.rows(sorted(ended)) if ended else []
        except HeadwayError:
            self._running_dirty = True
            return
        finally:
            self._running_pace.end(time.monotonic())
        self.wall.update([*others, *jobs])
        await self.wall.show_running(jobs)

    def _start_rows(self, others: Iterable[int] = ()) -> None:
        first, last = self.rows.window
        if self.source.missing(first, last) or self.source.stale(first, last) or others:
            self.in_background(partial(self._read_rows, frozenset(others)), "rows", alone=False)

    async def _read_rows(self, others: frozenset[int]) -> None:
        """Read what the window lacks, then what changed in it and in the panes."""
        source, client = self.source, self.desk.client
        try:
            first, last = self.rows.window
            for page in source.missing(first, last):
                order = source.order
                jobs = await client.rows(source.page_ids(page))
                if source.order is not order:
                    return
                source.put(page, jobs)
            stale = source.stale(*self.rows.window)
            if wanted := list(dict.fromkeys([*stale, *others])):
                jobs = await client.rows(wanted)
                source.update(stale, jobs)
                self.wall.update(jobs)
            source.drop_stale_pages(first - PAGE_ROWS, last + PAGE_ROWS)
        except HeadwayError as error:
            self._problem = error.message
        self.rows.refresh_rows(self.desk.clock())
        self.ask.idle(self.idle_parts(self.desk.clock()), self.desk.clock())

    def on_rows_moved(self, event: Rows.Moved) -> None:
        self._start_rows()
        self.draw_frame(self.desk.clock())

    def on_rows_opened(self, event: Rows.Opened) -> None:
        self.action_open()

    # What is shown

    def title_parts(self, now: int) -> tuple[Sequence[Part], Sequence[Part]]:
        rows, status = self.rows, self.desk.status
        left: list[Part] = [(" Queue   ", Role.HEADING)]
        count = len(self.source)
        if self.filter:
            left.append((clean_line(self.filter), Role.ACCENT))
            total = _all_jobs(self.desk)
            left.append((f"   {number(count)} of {number(max(total, count))}", Role.MUTED))
        elif self.loaded:
            left.append((plural(count, "job"), Role.MUTED))
        if len(rows.marks):
            left.append((f"   {number(len(rows.marks))} marked", Role.ACCENT))
        if rows.range_start is not None:
            left.append((f"   range from {job_name(rows.range_start)}", Role.ACCENT))
        right: list[Part] = []
        if self._order_dirty and rows.frozen:
            news = f"+{number(self._added)} new" if self._added and not self.filter else "order changed"
            right = [(f"{news}  ", Role.ACCENT), (". ", Role.KEY)]
        elif status is not None and status.held_all:
            right = [(f"held by {clean_line(status.held_all)}   ", Role.WAIT), (":release all ", Role.KEY)]
        return left, right

    def idle_parts(self, now: int) -> Sequence[Part]:
        job = self.rows.cursor_job
        if job is None:
            return ()
        mark = mark_of(job, now)
        told = self.desk.progress.get(job.id) if job.state is State.RUNNING else None
        words = [told.line] if told else [job.title]
        if job.held_by:
            words.append(f"held by {job.held_by}")
        if job.failure and job.state in (State.FAILED, State.READY):
            words.append(job.failure.replace("_", " "))
        if job.reason:
            words.append(job.reason)
        sign = mark.ascii if self.desk.ascii else mark.glyph
        return [
            (f"{sign} {mark.word} ", mark.role),
            (f"{job_name(job.id)}  ", Role.MUTED),
            ("  ".join(map(clean_line, words)), Role.MUTED),
        ]

    def _show_empty(self) -> None:
        if self._problem and not self.loaded:
            lines: tuple[tuple[Part, ...], ...] = (
                ((f"   {clean_line(self._problem)}", Role.FAILED),),
                (("   It is asked again by itself.", Role.MUTED),),
            )
        elif self.filter:
            lines = (
                (("   No job matches ", Role.TEXT), (clean_line(self.filter), Role.ACCENT)),
                (
                    ("   esc", Role.KEY),
                    (" clears the filter, ", Role.MUTED),
                    ("/", Role.KEY),
                    (" changes it.", Role.MUTED),
                ),
            )
        else:
            lines = (
                (("   Nothing is queued. In another terminal:", Role.TEXT),),
                (("   headway submit \"fix the flaky login test\"", Role.KEY),),
                (("   or, without keys or cost:  ", Role.MUTED), ("headway demo", Role.KEY)),
            )  # fmt: skip
        self.rows.show_empty(lines)

    def on_status_changed(self, event: object) -> None:
        if self.desk.offline_since is not None and not self.loaded:
            self._problem = self.desk.why_offline
            self._show_empty()
        self.draw_frame(self.desk.clock())

    # What the keys do

    def targets(self) -> list[int]:
        if isinstance(self.focused, Pane) or (self.ask.busy and isinstance(self._last_focus, Pane)):
            pane = cast(Pane, self.focused if isinstance(self.focused, Pane) else self._last_focus)
            return [pane.job.id] if pane.job else []
        if len(self.rows.marks):
            return self.rows.marks.ids()
        job = self.rows.cursor_id
        return [] if job is None else [job]

    def open_target(self) -> int | None:
        if isinstance(self.focused, Pane):
            return self.focused.job.id if self.focused.job else None
        return self.rows.cursor_id

    def targets_done(self) -> None:
        if len(self.rows.marks) and not isinstance(self.focused, Pane):
            self.action_clear_marks()

    def show_job(self, job: int, tab: Tab) -> None:
        cast("ConsoleApp", self.app).open_job(job, tab)

    def action_open(self) -> None:
        self._open_at(Tab.LOG)

    def action_mark(self) -> None:
        job = self.rows.cursor_id
        if job is not None:
            self.rows.marks.toggle(job)
            self.rows.move_to(self.rows.cursor + 1)
            self._marks_changed()

    def action_range(self) -> None:
        rows = self.rows
        if rows.cursor_id is None:
            return
        if rows.range_start is None:
            rows.range_start = rows.cursor_id
        else:
            start = self.source.index_of(rows.range_start, rows.cursor)
            if start is not None:
                first, last = sorted((start, rows.cursor))
                rows.marks.add(self.source.order[first : last + 1])
            rows.range_start = None
        self._marks_changed()

    def action_mark_all(self) -> None:
        if len(self.source):
            self.rows.marks.all_of(self.source.order)
            self._marks_changed()

    def action_clear_marks(self) -> None:
        self.rows.marks.clear()
        self.rows.range_start = None
        self._marks_changed()

    def _marks_changed(self) -> None:
        self.rows.refresh_rows(self.desk.clock())
        self.draw_frame(self.desk.clock())

    def action_apply_order(self) -> None:
        self._start_order()

    def action_next_failed(self) -> None:
        self.work(self._next_failed())

    async def _next_failed(self) -> None:
        failed = await self.attempt(self.desk.client.order(f"{self.filter} state:{State.FAILED}".strip()))
        asking = await self.attempt(self.desk.client.inbox())
        if failed is None or asking is None:
            return
        wanted, order, start = {*failed, *(card.job for card in asking)}, self.source.order, self.rows.cursor + 1
        for index in (*range(start, len(order)), *range(min(start, len(order)))) if wanted else ():
            if order[index] in wanted:
                self.rows.move_to(index)
                return
        self.say("no job in this list has failed or asks you")

    def action_next_pane(self) -> None:
        self._step_focus(1)

    def action_previous_pane(self) -> None:
        self._step_focus(-1)

    def _step_focus(self, step: int) -> None:
        stops: list[Widget] = [self.rows, *self.wall.panes]
        at = stops.index(self.focused) if self.focused in stops else 0
        stop = stops[(at + step) % len(stops)]
        self.set_focus(stop)
        if self.wall.zoomed:
            self._zoom(stop)

    def action_zoom(self) -> None:
        zoomed = self.has_class("-zoom-rows") or self.wall.zoomed
        self._zoom(None if zoomed else self.focused)

    def _zoom(self, widget: Widget | None) -> None:
        self.set_class(isinstance(widget, Rows), "-zoom-rows")
        self.set_class(isinstance(widget, Pane), "-zoom-wall")
        self.wall.zoom(widget if isinstance(widget, Pane) else None)

    def action_clear(self) -> None:
        if self.has_class("-zoom-rows") or self.wall.zoomed:
            self._zoom(None)
        elif self.rows.range_start is not None:
            self.rows.range_start = None
            self._marks_changed()
        elif self.filter:
            self.try_filter("")
        elif len(self.rows.marks):
            self.action_clear_marks()
        elif self.focused is not self.rows:
            self.set_focus(self.rows)


def _all_jobs(desk: Desk) -> int:
    if desk.status is None:
        return 0
    counts = desk.status.counts
    return counts.unfinished + counts.succeeded + counts.failed + counts.cancelled
