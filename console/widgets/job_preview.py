"""What there is to see of the job under the cursor: its live output, why it waits, or how it ended."""

from __future__ import annotations

import time
from typing import ClassVar

from textual.strip import Strip
from textual.worker import Worker

from console.desk import Desk
from console.draw import draw
from console.follow import LogReader
from console.format import age, clean_line, clean_lines, job_name, moment, money, plural
from console.moves import move_text
from console.roles import Ground, Part, Role
from console.sizes import PANE_LINES
from console.status import mark_of
from console.transcript import Entry
from console.widgets.tail import Tail
from engine.errors import HeadwayError
from engine.model import Job, JobDetail, State
from engine.model.listing import Wait

#: Lines of the past that it starts with, and of a prompt that it shows.
_PAST, _PROMPT = 60, 40

#: Seconds that the cursor has to stand on a job before that is read: to run through a list reads nothing.
_REST = 0.15


class JobPreview(Tail):
    """One job at a time. Reads once the cursor rests, on a beat; and again where the job changed."""

    HEAD_ROWS: ClassVar[int] = 1

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, most=PANE_LINES, id="preview")
        self.job: Job | None = None
        self._wait: Wait | None = None
        self._read: tuple[object, ...] = ()
        """What is shown: the job, and what about it would make it another text."""
        self._since = 0.0
        self._worker: Worker[None] | None = None

    def look_at(self, job: Job | None, wait: Wait | None) -> None:
        """The cursor stands on this job."""
        if (job and job.id) != (self.job and self.job.id):
            self._since = time.monotonic()
        self.job, self._wait = job, wait

    def beat(self, now: int) -> None:
        """Read where something else is to be shown, and draw what is new."""
        wanted = self._wanted()
        if wanted != self._read and time.monotonic() - self._since >= _REST and self.display:
            self._read = wanted
            self._begin(now)
        self.flush()

    def _wanted(self) -> tuple[object, ...]:
        job, wait = self.job, self._wait
        if job is None:
            return ()
        return job.id, job.state, job.attempts, job.held_by, job.waiting_on, wait and wait.reason.text

    def _begin(self, now: int) -> None:
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None
        job = self.job
        self.following = self._follows_at_end = job is not None and job.state in (State.RUNNING, State.GATING)
        self.replace(())
        self.refresh()
        if job is None:
            return
        if self._follows_at_end:
            reader = LogReader(self.desk.client, job.id, job.attempts or None, _PAST, self.add)
            self._worker = self.run_worker(reader.run, group="preview", exclusive=True, exit_on_error=False)
        else:
            self._worker = self.run_worker(self._tell(job, self._wait), group="preview", exclusive=True)

    async def _tell(self, job: Job, wait: Wait | None) -> None:
        try:
            detail = await self.desk.client.job(job.id)
        except HeadwayError as error:
            self.replace([Entry(((clean_line(error.message), Role.FAILED),), True)])
            return
        self.replace(preview_entries(detail, wait, self.desk.clock()))

    def head(self, width: int) -> Strip:
        desk, job = self.desk, self.job
        ground = Ground.HEAD_FOCUS if self.has_focus else Ground.HEAD
        if job is None:
            return draw(desk.ink, [("   nothing under the cursor", Role.MUTED)], width, ground=ground, ascii=desk.ascii)
        mark = mark_of(job, desk.clock(), self._wait)
        parts: list[Part] = [
            (f" {mark.ascii if desk.ascii else mark.glyph} ", mark.role),
            (f"{job_name(job.id)} ", Role.HEADING),
            (clean_line(job.title), Role.TEXT),
        ]
        return draw(desk.ink, parts, width, ground=ground, ascii=desk.ascii)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


def preview_entries(detail: JobDetail, wait: Wait | None, now: int) -> list[Entry]:
    """What to know of a job that does not run: why it waits or how it ended, its last words, then its prompt."""
    job = detail.job
    facts: list[tuple[str, str, Role]] = []
    for reason in detail.waiting or ([wait.reason] if wait else []):
        ends = f", {age(reason.until - now)} left" if reason.until is not None and reason.until > now else ""
        facts.append(("waits", f"{reason}{ends}", Role.WAIT))
    if job.failure is not None and job.state is State.FAILED:
        facts.append(("failed", job.failure.replace("_", " "), Role.FAILED))
    if job.reason:
        facts.append(("why", job.reason, Role.TEXT))
    newest = detail.attempts[-1] if detail.attempts else None
    if newest is not None:
        ended = newest.ended_at
        facts.append(("attempt", f"{newest.number}, {moment(newest.started_at or newest.created_at)}", Role.MUTED))
        if ended is not None and newest.started_at is not None:
            facts.append(("took", age(ended - newest.started_at), Role.MUTED))
        if newest.diff is not None and newest.diff.files:
            change = f"{plural(newest.diff.files, 'file')} +{newest.diff.added} −{newest.diff.removed}"
            facts.append(("changed", change, Role.TEXT))
        if newest.result:
            facts.append(("said", newest.result, Role.TEXT))
    if job.cost_micros is not None:
        facts.append(("cost", money(job.cost_micros, job.cost_grade, 3), Role.MUTED))
    if detail.moves:
        facts.append(("moved", move_text(detail.moves[-1]), Role.WAIT))
    lines = [Entry(((f"{name:<9}", Role.MUTED), (clean_line(text), role)), True, 9) for name, text, role in facts]
    prompt = clean_lines(detail.spec.prompt)
    lines += [Entry((("", Role.TEXT),))] if lines else []
    lines += [Entry(((line, Role.TEXT),), True) for line in prompt[:_PROMPT]]
    if len(prompt) > _PROMPT:
        lines.append(Entry(((f"{plural(len(prompt) - _PROMPT, 'more line')}", Role.MUTED),)))
    return lines
