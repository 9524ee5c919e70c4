"""The workers as a list, one line each: who works on what, for how long, and its last word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.actions import Scope, bindings
from console.desk import Desk
from console.draw import draw
from console.format import age, clean_line, fit, job_name, right, tokens
from console.roles import Ground, Part, Role
from console.status import mark_of, shown_age
from engine.model import Job


class WorkerList(Widget, can_focus=True):
    """The cursor belongs to a job's id, and keeps its place where that job ends."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST)
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor stands on another worker."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="worker-list")
        self._desk = desk
        self.jobs: list[Job] = []
        self.places: Mapping[int, str] = {}
        """On which machine of the cluster a job runs, for those that do not run on the engine's own."""
        self.cursor = 0
        self._top = 0
        self._drawn: dict[int, tuple[Part, ...]] = {}
        self._empty: tuple[tuple[Part, ...], ...] = ()

    @property
    def job(self) -> Job | None:
        """The job of the worker under the cursor."""
        return self.jobs[self.cursor] if self.cursor < len(self.jobs) else None

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)

    def take(self, jobs: Sequence[Job]) -> None:
        """These are at work now."""
        before = self.job
        self.jobs = list(jobs)
        ids = [job.id for job in self.jobs]
        here = before is not None and before.id in ids
        self.cursor = ids.index(before.id) if here and before is not None else min(self.cursor, max(0, len(ids) - 1))
        self._reveal()
        self.refresh()

    def show_empty(self, lines: tuple[tuple[Part, ...], ...]) -> None:
        if lines != self._empty:
            self._empty = lines
            self.refresh()

    def tick(self) -> None:
        """Draw the lines that say something else by now."""
        for index in range(self._top, min(self._top + self._height, len(self.jobs))):
            if self._drawn.get(index) != tuple(self._parts(self.jobs[index])):
                self.refresh(Region(0, index - self._top + 1, self.size.width, 1))

    def _parts(self, job: Job) -> list[Part]:
        desk = self._desk
        now = desk.clock()
        mark = mark_of(job, now)
        told = desk.progress.get(job.id)
        used = job.input_tokens + job.output_tokens
        where = self.places.get(job.id)
        return [
            (f" {mark.ascii if desk.ascii else mark.glyph} ", mark.role),
            (f"{fit(job_name(job.id), 7)} ", Role.HEADING),
            (f"{fit(clean_line(job.model or job.agent), 12)} ", Role.MUTED),
            (f"{right(age(shown_age(job, now), 5), 6)} ", Role.MUTED),
            (f"{right(tokens(used) if used else '-', 5)}  ", Role.MUTED),
            (f"{clean_line(where)}  " if where is not None else "", Role.MUTED),
            (clean_line(told.line if told else job.title), Role.TEXT),
        ]

    def render_line(self, y: int) -> Strip:
        desk, width = self._desk, self.size.width
        if y == 0:
            head = f"   {fit('JOB', 7)} {fit('MODEL', 12)} {right('FOR', 6)} {right('TOK', 5)}  LAST WORD"
            return draw(desk.ink, [(head, Role.MUTED)], width, ground=Ground.HEAD, ascii=desk.ascii)
        index = self._top + y - 1
        if index >= len(self.jobs):
            blank = self._empty[y - 2] if not self.jobs and 0 <= y - 2 < len(self._empty) else ()
            return draw(desk.ink, blank, width, ascii=desk.ascii)
        parts = self._parts(self.jobs[index])
        self._drawn[index] = tuple(parts)
        ground = Ground.PAGE
        if index == self.cursor:
            ground = Ground.CURSOR if self.has_focus else Ground.CURSOR_IDLE
        return draw(desk.ink, parts, width, ground=ground, ascii=desk.ascii)

    def move_to(self, index: int) -> None:
        index = max(0, min(index, len(self.jobs) - 1))
        if self.jobs and index != self.cursor:
            self.cursor = index
            self._reveal()
            self.refresh()
            self.post_message(self.Moved())

    def _reveal(self) -> None:
        self._top = max(min(self._top, self.cursor), self.cursor - self._height + 1, 0)
        self._drawn.clear()

    def on_resize(self, event: Resize) -> None:
        self._reveal()
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: Click) -> None:
        if event.y >= 1:
            self.move_to(self._top + event.y - 1)

    def action_down(self) -> None:
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        self.move_to(self.cursor - 1)

    def action_half_down(self) -> None:
        self.move_to(self.cursor + max(1, self._height // 2))

    def action_half_up(self) -> None:
        self.move_to(self.cursor - max(1, self._height // 2))

    def action_page_down(self) -> None:
        self.move_to(self.cursor + self._height)

    def action_page_up(self) -> None:
        self.move_to(self.cursor - self._height)

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(len(self.jobs) - 1)
