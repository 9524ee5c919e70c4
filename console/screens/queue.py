"""The queue: the table of jobs, its saved views, and what there is to see of the one under the cursor."""

from __future__ import annotations

import time
from array import array
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.events import Key
from textual.widget import Widget

from console.actions import Scope, bindings
from console.completing import known_values
from console.format import age, clean_line, job_name, number, plural
from console.messages import JobsChanged, Pulse
from console.pace import Pace
from console.roles import Part, Role
from console.screens.marking import Marking
from console.sizes import PAGE_ROWS, PREVIEW_BELOW, PREVIEW_RIGHT
from console.status import mark_of
from console.tabs import Tab
from console.widgets.job_preview import JobPreview
from console.widgets.rows import Rows
from console.widgets.view_list import ViewList
from engine.errors import HeadwayError
from engine.model import State
from engine.model.listing import SortKey

if TYPE_CHECKING:
    from console.app import ConsoleApp
    from console.desk import Desk

#: Seconds after a key in which the live list keeps its order, so that no key meets another row than was seen.
_GRACE = 1.0

#: Seconds after which it is asked again why rows wait, where something happened that moved none of them.
_WAITS = 10.0

#: Where the preview can be.
_PLACES = ("-beside", "-below", "-alone")


class QueueScreen(Marking):
    """Table and preview: beside it in a wide terminal, below it in a tall one, else the table alone."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.JOBS, Scope.TABLE, Scope.SORTED, Scope.MARKS, Scope.QUEUE)
    SCOPES = frozenset({Scope.TABLE, Scope.SORTED, Scope.MARKS, Scope.QUEUE})

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.preview = JobPreview(desk)
        self.view_list = ViewList(desk)
        self.loaded = False
        self._problem = ""
        self._order_pace, self._waits_pace = Pace(), Pace()
        self._order_dirty = True
        self._waits_dirty = True
        self._waits_asked: frozenset[int] = frozenset()
        self._waits_read = 0.0
        self._added = 0
        self._touched = float("-inf")
        self._place = ""
        """Where the operator wants the preview; empty for what the size says."""

    def body(self) -> ComposeResult:
        with Container(id="queue"):
            yield self.view_list
            yield self.rows
            yield self.preview

    def home(self) -> Widget | None:
        return self.rows

    def on_key(self, event: Key) -> None:
        self._touched = time.monotonic()

    def shape(self, width: int, height: int) -> None:
        fits = _places(width, height)
        place = self._place if self._place in fits else fits[0]
        for name in _PLACES:
            self.set_class(name == place, name)
        self.preview.display = place != "-alone"
        self.view_list.display = width >= PREVIEW_RIGHT

    def live_scopes(self) -> frozenset[Scope]:
        scope = Scope.TEXT if self.focused is self.preview else Scope.LIST
        return super().live_scopes() | {scope}

    def sorted_by(self) -> str:
        return "" if self.sort.key is SortKey.QUEUE else str(self.sort)

    def known(self) -> Mapping[str, Sequence[str]]:
        return known_values(self.source.some())

    # What is read, and when

    def reload(self) -> None:
        self._order_dirty = self._waits_dirty = True
        self._order_pace, self._waits_pace = Pace(), Pace()
        self.source.changed(self.source.order[slice(*self.rows.window)])
        if not self.rows.frozen:
            self._start_order()
        self._start_rows()

    def reconnected(self) -> None:
        """A list may be long: it is read again only where something that happened says so."""
        if not self.loaded:
            super().reconnected()
        elif self.in_sight:
            self._waits_dirty = True
            self._start_rows()

    def resume(self) -> None:
        self._start_rows()

    def on_jobs_changed(self, event: JobsChanged) -> None:
        self.source.changed(event.ids)
        if event.reordered:
            self._order_dirty = self._waits_dirty = True
            self._added += event.added
        elif time.monotonic() - self._waits_read >= _WAITS:
            self._waits_dirty = True
        if self.in_sight:
            self._start_rows()

    def beat(self, pulse: Pulse) -> None:
        now = time.monotonic()
        if self.desk.offline_since is None and pulse.steady:
            live = not self.rows.frozen and now - self._touched >= _GRACE
            if self._order_dirty and live and self._order_pace.due(now) and not self.ask.busy:
                self._start_order()
            if (self._waits_dirty or self._waiting_rows() - self._waits_asked) and self._waits_pace.due(now):
                self._start_waits()
        if pulse.second:
            self.rows.refresh_rows(pulse.now)
        if pulse.steady:
            self.title_line.show(*self.title_parts(pulse.now))
            self.view_list.show(self.views.names, self.view or ("" if self.filter else "all"))
        self._look(pulse.now)

    def _look(self, now: int) -> None:
        job = self.rows.cursor_job
        self.preview.look_at(job, self.source.waits.get(job.id) if job is not None else None)
        self.preview.beat(now)

    def _start_order(self) -> None:
        self._order_dirty = False
        self._order_pace.start(time.monotonic())
        self.in_background(partial(self._read_order, self.filter), "order")

    async def _read_order(self, filter: str) -> None:
        try:
            order = await self.desk.client.order(filter, self.sorted_by())
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

    def _waiting_rows(self) -> frozenset[int]:
        """The jobs in sight that wait for something."""
        first, last = self.rows.window
        jobs = (self.source.job_at(index) for index in range(first, last))
        waits = (State.READY, State.BLOCKED)
        return frozenset(job.id for job in jobs if job is not None and job.state in waits and not job.held_by)

    def _start_waits(self) -> None:
        self._waits_dirty = False
        self._waits_pace.start(time.monotonic())
        self.in_background(self._read_waits, "waits")

    async def _read_waits(self) -> None:
        """Ask why the rows in sight wait. What keeps one may be another's doing, so no event names it."""
        wanted = self._waiting_rows()
        try:
            found = await self.desk.client.waits(sorted(wanted)) if wanted else []
        except HeadwayError:
            self._waits_dirty = True
            return
        finally:
            self._waits_read = time.monotonic()
            self._waits_pace.end(self._waits_read)
        self._waits_asked = wanted
        self.source.waits = {wait.job: wait for wait in found}
        self.rows.refresh_rows(self.desk.clock())

    def _start_rows(self) -> None:
        first, last = self.rows.window
        if self.source.missing(first, last) or self.source.stale(first, last):
            self.in_background(self._read_rows, "rows", alone=False)

    async def _read_rows(self) -> None:
        """Read what the window lacks, then what changed in it."""
        source, client = self.source, self.desk.client
        try:
            first, last = self.rows.window
            for page in source.missing(first, last):
                order = source.order
                jobs = await client.rows(source.page_ids(page))
                if source.order is not order:
                    return
                source.put(page, jobs)
            if stale := source.stale(*self.rows.window):
                source.update(stale, await client.rows(stale))
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
        if self.sort.key is not SortKey.QUEUE:
            left.append((f"   by {self.sort.key} {'▴' if self.sort.reverse else '▾'}", Role.MUTED))
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
        wait = self.source.waits.get(job.id)
        mark = mark_of(job, now, wait)
        told = self.desk.progress.get(job.id) if job.state is State.RUNNING else None
        words = [told.line] if told else [job.title]
        if job.held_by:
            words.append(f"held by {job.held_by}")
        if job.failure and job.state in (State.FAILED, State.READY):
            words.append(job.failure.replace("_", " "))
        if job.reason:
            words.append(job.reason)
        if wait is not None:
            words.insert(0, _why(wait.reason.text, wait.reason.until, wait.more, now))
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

    def show_job(self, job: int, tab: Tab) -> None:
        cast("ConsoleApp", self.app).open_job(job, tab)

    def action_open(self) -> None:
        self._open_at(Tab.LOG)

    def action_apply_order(self) -> None:
        self._start_order()

    def action_next_pane(self) -> None:
        """To the preview, and back."""
        if self.preview.display:
            self.set_focus(self.rows if self.focused is self.preview else self.preview)
        else:
            self.say("the preview needs more room: a taller or a wider terminal; enter opens the job")

    def action_previous_pane(self) -> None:
        self.action_next_pane()

    def action_zoom(self) -> None:
        self.set_class(not self.has_class("-zoom"), "-zoom")
        self.preview.display = not self.has_class("-alone") and (
            not self.has_class("-zoom") or self.focused is self.preview
        )
        self.rows.display = not self.has_class("-zoom") or self.focused is not self.preview

    def action_preview(self) -> None:
        """The next place that the preview can be at, of those there is room for."""
        fits = _places(*self.size)
        here = next(name for name in _PLACES if self.has_class(name))
        self._place = fits[(fits.index(here) + 1) % len(fits)]
        if len(fits) == 1:
            self.action_next_pane()
        elif self._place == "-alone" and self.focused is self.preview:
            self.set_focus(self.rows)
        self.shape(*self.size)

    def on_view_list_clicked(self, event: ViewList.Clicked) -> None:
        self.action_view(event.name)

    def views_changed(self) -> None:
        self.view_list.show(self.views.names, self.view or ("" if self.filter else "all"))

    def action_clear(self) -> None:
        if self.has_class("-zoom"):
            self.action_zoom()
        elif self.focused is self.preview:
            self.set_focus(self.rows)
        elif self.rows.range_start is not None:
            self.rows.range_start = None
            self.marks_changed()
        elif self.filter:
            self.try_filter("")
        elif len(self.rows.marks):
            self.action_clear_marks()
        elif self.sort.key is not SortKey.QUEUE:
            self.action_sort(SortKey.QUEUE)


def _places(width: int, height: int) -> Sequence[str]:
    """Where there is room for the preview, the best place first."""
    return _PLACES if width >= PREVIEW_RIGHT else _PLACES[1:] if height >= PREVIEW_BELOW else _PLACES[2:]


def _why(text: str, until: int | None, more: int, now: int) -> str:
    ends = f", {age(until - now)} left" if until is not None and until > now else ""
    return f"{text}{ends}{f', and {more} more' if more else ''}"


def _all_jobs(desk: Desk) -> int:
    if desk.status is None:
        return 0
    counts = desk.status.counts
    return counts.unfinished + counts.succeeded + counts.failed + counts.cancelled
