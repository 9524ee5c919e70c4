"""One job: what is known of it in three lines, and in tabs what it did, said, was told, changed, and cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.worker import Worker

from console.actions import Scope, bindings
from console.desk import Desk
from console.diff import diff_entries
from console.facts import attempt_entries, head_lines, spec_entries
from console.follow import LogReader
from console.format import clean_line, job_name, plural
from console.messages import JobsChanged, Pulse
from console.pace import Pace
from console.roles import Part, Role
from console.rounds import gate_entries
from console.screens.reading import Reading
from console.sizes import DIFF_LINES, LOG_LINES, PREVIEW_RIGHT
from console.tabs import Tab
from console.told import briefing_entries, cost_entries, event_entries
from console.transcript import Entry
from console.widgets.line import Line
from console.widgets.step_list import StepList
from console.widgets.tail import Tail
from engine.errors import HeadwayError
from engine.model import JobDetail, State

if TYPE_CHECKING:
    from console.app import ConsoleApp

#: Lines of the past that the log starts with.
_PAST = 2_000

#: Events of a job that are shown.
_EVENTS = 1_000


class JobScreen(Reading):
    """Pushed on the screen that it was opened from; `esc` returns to the very row."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.JOBS, Scope.READING, Scope.JOB)
    SCOPES = frozenset({Scope.JOB})

    def __init__(self, desk: Desk, job: int, tab: Tab) -> None:
        super().__init__(desk)
        self.job = job
        self.tab = tab
        self.detail: JobDetail | None = None
        self._facts = [Line(desk) for _ in range(3)]
        self._tab_line = Line(desk, id="tabs")
        self._texts = {
            tab: Tail(desk, most=max(LOG_LINES, DIFF_LINES + 1), follow=tab is Tab.LOG, id=f"text-{tab.lower()}")
            for tab in Tab
            if tab is not Tab.TIMELINE
        }
        self.steps = StepList(desk)
        self._beside = False
        """There is room for the timeline at the left of another tab."""
        self._reader: LogReader | None = None
        self._worker: Worker[None] | None = None
        self._attempt: int | None = None
        self._pace = Pace()
        self._dirty = False
        self._gate: list[Entry] = []

    def body(self) -> Iterable[Widget]:
        yield from self._facts
        yield self._tab_line
        yield Horizontal(self.steps, *self._texts.values(), id="job")

    def home(self) -> Widget | None:
        return self.steps if self.tab is Tab.TIMELINE else self._texts[self.tab]

    def shape(self, width: int, height: int) -> None:
        self._beside = width >= PREVIEW_RIGHT
        self._show_tab()

    def live_scopes(self) -> frozenset[Scope]:
        on_steps = self.focused is self.steps
        return super().live_scopes() | ({Scope.LIST} if on_steps else {Scope.TEXT, Scope.READING})

    @property
    def text(self) -> Tail:
        """The text of the open tab; beside the timeline that is the log."""
        return self._texts[Tab.LOG if self.tab is Tab.TIMELINE else self.tab]

    def on_mount(self) -> None:
        self._texts[Tab.LOG].empty = "nothing said yet"
        self._texts[Tab.DIFF].empty = "no changes"
        self._open_tab(self.tab)
        self.reload()

    def reload(self) -> None:
        self._pace.start(0.0)
        self._dirty = False
        self.in_background(self._read, "job")

    async def _read(self) -> None:
        try:
            detail = await self.desk.client.job(self.job)
        except HeadwayError as error:
            self.say(error.message, Role.FAILED)
            return
        self.detail = detail
        if self._attempt != detail.job.attempts:
            self._follow(detail.job.attempts)
        self._texts[Tab.ATTEMPTS].replace(attempt_entries(detail, self.desk.clock()))
        if not self._texts[Tab.SPEC].entry_count:
            self._texts[Tab.SPEC].replace(spec_entries(detail))
        self._draw_facts(self.desk.clock())
        self._texts[Tab.COST].replace(cost_entries(detail))
        await self._read_tab()

    async def _read_tab(self) -> None:
        """Read what only the open tab needs."""
        client, job = self.desk.client, self.job
        try:
            if self.tab is Tab.DIFF:
                await self._read_diff()
            elif self.tab is Tab.GATE and self.detail is not None:
                self._show_gate(gate_entries(await client.gate(job), self.detail))
            elif self.tab is Tab.EVENTS:
                self._texts[Tab.EVENTS].replace(event_entries(await client.events(after=0, limit=_EVENTS, job=job)))
            elif self.tab is Tab.SPEC and self.detail is not None:
                said = spec_entries(self.detail)
                told = briefing_entries(await client.context(job))
                self._texts[Tab.SPEC].replace([*said, Entry((("", Role.TEXT),)), *told])
        except HeadwayError as error:
            if self.tab is Tab.GATE:
                self._show_gate([Entry(((clean_line(error.message), Role.MUTED),))])
            elif self.tab is not Tab.SPEC:  # its prompt is there, only nobody has been told anything yet
                self.text.replace([Entry(((clean_line(error.message), Role.MUTED),))])

    def _follow(self, attempt: int) -> None:
        self._attempt = attempt
        if self._worker is not None:
            self._worker.cancel()
        log = self._texts[Tab.LOG]
        log.replace(())
        self.steps.clear()
        self._reader = LogReader(self.desk.client, self.job, attempt or None, _PAST, self._hear, self.steps.add)
        self._worker = self.run_worker(self._reader.run, group="log", exclusive=True)

    def _hear(self, entries: list[Entry]) -> None:
        self._texts[Tab.LOG].add(entries)

    def _show_gate(self, entries: list[Entry]) -> None:
        """It is read again each second while it looks: what has not changed stays, and so does who reads it."""
        if entries == self._gate:
            return
        text, self._gate = self._texts[Tab.GATE], entries
        top = text.top
        text.replace(entries)
        text.scroll_rows(top)

    async def _read_diff(self) -> None:
        if not self._attempt:
            return
        text = self._texts[Tab.DIFF]
        try:
            diff = await self.desk.client.diff(self.job)
        except HeadwayError as error:
            text.replace([Entry(((clean_line(error.message), Role.MUTED),))])
            return
        text.replace(diff_entries(diff) if diff.strip() else ())

    def on_jobs_changed(self, event: JobsChanged) -> None:
        if self.job in event.ids:
            self._dirty = True

    @property
    def _gating(self) -> bool:
        """A look is on its way and in sight. Which of its checks runs is no event: it is asked for."""
        return self.tab is Tab.GATE and self.detail is not None and self.detail.job.state is State.GATING

    def beat(self, pulse: Pulse) -> None:
        if (self._dirty or self._gating) and pulse.second and self.desk.offline_since is None:
            self.reload()
        if pulse.second:
            self._draw_facts(pulse.now)
        self.text.flush()
        self.steps.flush()
        if pulse.steady:
            self._draw_tabs()  # what is below is known once the text is laid out

    def _draw_facts(self, now: int) -> None:
        if self.detail is not None:
            told = self.desk.progress.get(self.job)
            heads = head_lines(self.detail, now, ascii=self.desk.ascii, progress=told)
            for line, parts in zip(self._facts, heads, strict=True):
                line.show(parts)
        self._draw_tabs()

    def _draw_tabs(self) -> None:
        left: list[Part] = [(" ", Role.TEXT)]
        left += [(f"[{tab}]", Role.HEADING) if tab is self.tab else (f" {tab} ", Role.MUTED) for tab in Tab]
        right: list[Part] = []
        if self.tab is Tab.TIMELINE:
            right = [(f"{plural(len(self.steps.steps.all), 'step')} ", Role.MUTED)]
        elif self.tab is Tab.LOG and self.detail is not None and self.text.following:
            right = [("following ", Role.MUTED)]
        elif self.text.below:
            right = [(f"{plural(self.text.below, 'line')} below ", Role.MUTED)]
        self._tab_line.show(left, right)

    def title_parts(self, now: int) -> tuple[Sequence[Part], Sequence[Part]]:
        title = clean_line(self.detail.job.title) if self.detail else ""
        from_where = cast("ConsoleApp", self.app).place.title
        return [
            (f" {from_where} › ", Role.MUTED), (job_name(self.job), Role.HEADING), (f"   {title}", Role.TEXT)
        ], ()  # fmt: skip

    def targets(self) -> list[int]:
        return [self.job]

    def show_job(self, job: int, tab: Tab) -> None:
        self._open_tab(tab)

    def _open_tab(self, tab: Tab) -> None:
        self.tab = tab
        self._show_tab()
        if not self.ask.busy:
            self.set_focus(self.home())
        self._draw_tabs()
        if self.detail is not None:
            self.in_background(self._read_tab, "tab")

    def _show_tab(self) -> None:
        shown = self.text
        for text in self._texts.values():
            text.display = text is shown and (self.tab is not Tab.TIMELINE or self._beside)
        self.steps.display = self.tab is Tab.TIMELINE or self._beside

    def action_unfold(self) -> None:
        if self.steps.display and not self.steps.toggle():
            self.say("nothing is behind this step")

    def action_next_side(self) -> None:
        if self._beside:
            self.set_focus(self.steps if self.focused is not self.steps else self.text)
        else:
            self.say("the timeline stands beside the other tabs from 160 columns on; [ and ] change the tab")

    def text_read(self) -> Tail | None:
        return self.text

    def _step(self, step: int) -> None:
        """In a diff without a search, from hunk to hunk."""
        if self.tab is not Tab.DIFF or self.text.searched:
            super()._step(step)
            return
        place, count = self.text.jump("@@", step)
        self.say(f"hunk {place} of {count}" if count else "no hunks")
        self._draw_tabs()

    def action_next_tab(self) -> None:
        self._open_tab(self.tab.beside(1))

    def action_previous_tab(self) -> None:
        self._open_tab(self.tab.beside(-1))

    def action_back(self) -> None:
        if self.text.searched:
            self.text.search("")
        else:
            self.app.pop_screen()
