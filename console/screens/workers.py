"""The workers: a wall of panes with what each agent is doing, or a list of them with one line each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from console.actions import Scope, bindings
from console.format import clean_line, job_name, plural
from console.messages import JobsChanged, Pulse
from console.pace import Pace
from console.roles import Part, Role
from console.screens.reading import Reading
from console.sizes import PANES_MOST, SIDE_BY_SIDE
from console.tabs import Tab
from console.widgets.node_lines import NodeLines
from console.widgets.pane import Pane
from console.widgets.wall import Wall
from console.widgets.worker_list import WorkerList
from engine.errors import HeadwayError
from engine.model import Job, State

if TYPE_CHECKING:
    from console.app import ConsoleApp
    from console.desk import Desk

#: How many panes a layout has; None is as many as there is room for.
_LAYOUTS: tuple[int | None, ...] = (1, 2, 4, 8, None)


class WorkersScreen(Reading):
    """The wall where there is room for panes beside each other, else the list; `w` changes over."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.JOBS, Scope.READING, Scope.WORKERS)
    SCOPES = frozenset({Scope.WORKERS})

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.wall = Wall(desk)
        self.list = WorkerList(desk)
        self.nodes = NodeLines(desk)
        self._clustered = True
        """There may be a cluster: it is asked for."""
        self.loaded = False
        self._problem = ""
        self._pace = Pace()
        self._dirty = True
        self._changed: set[int] = set()
        self._as_list: bool | None = None
        """What the operator wants; None for what the size says."""

    def body(self) -> ComposeResult:
        yield self.nodes
        with Container(id="workers"):
            yield self.wall
            yield self.list

    @property
    def listed(self) -> bool:
        return self.list.display

    def home(self) -> Widget | None:
        return self.list if self.listed else next(iter(self.wall.panes), None)

    def on_mount(self) -> None:
        self.reload()

    def shape(self, width: int, height: int) -> None:
        self.list.display = width < SIDE_BY_SIDE if self._as_list is None else self._as_list
        self.wall.display = not self.list.display
        self.wall.set_stacked(width < SIDE_BY_SIDE)

    def live_scopes(self) -> frozenset[Scope]:
        return super().live_scopes() | ({Scope.LIST} if self.listed else {Scope.TEXT, Scope.READING})

    # What is read, and when

    def reload(self) -> None:
        self._dirty = False
        self._pace.start(time.monotonic())
        self.in_background(self._read, "running")

    async def _read(self) -> None:
        client = self.desk.client
        try:
            jobs = await client.jobs(f"state:{State.RUNNING},{State.GATING}", PANES_MOST)
            ended = self.wall.shown() - {job.id for job in jobs}
            others = await client.rows(sorted(ended)) if ended else []
            if self._clustered:
                cluster = await client.nodes()
                self._clustered = cluster.configured
                self.nodes.take(cluster.nodes)
                self.list.places = {job: one.name for one in cluster.nodes for job in one.running}
        except HeadwayError as error:
            self._problem, self._dirty = error.message, True
            self._show_empty()
            return
        finally:
            self._pace.end(time.monotonic())
        self.loaded, self._problem = True, ""
        self._changed.clear()
        self.list.take(jobs)
        self.wall.update([*others, *jobs])
        await self.wall.show_running(jobs)
        self._show_empty()
        self.draw_frame(self.desk.clock())

    def on_jobs_changed(self, event: JobsChanged) -> None:
        self._dirty = self._dirty or event.reordered or bool(event.ids & self._shown())

    def _shown(self) -> frozenset[int]:
        return self.wall.shown() | {job.id for job in self.list.jobs}

    def resume(self) -> None:
        if self._dirty:
            self.reload()

    def beat(self, pulse: Pulse) -> None:
        now = time.monotonic()
        if self._dirty and pulse.steady and self.desk.offline_since is None and self._pace.due(now):
            self.reload()
        if self.focused is None and not self.ask.busy and (home := self.home()) is not None:
            self.set_focus(home)
        if self.listed:
            if pulse.calm:
                self.list.tick()
        else:
            self.wall.beat(pulse)

    def on_status_changed(self, event: object) -> None:
        if self.desk.offline_since is not None and not self.loaded:
            self._problem = self.desk.why_offline
            self._show_empty()
        self.draw_frame(self.desk.clock())

    # What is shown

    def title_parts(self, now: int) -> tuple[Sequence[Part], Sequence[Part]]:
        status, jobs = self.desk.status, self.list.jobs
        left: list[Part] = [(" Workers   ", Role.HEADING)]
        if status is not None:
            busy = status.counts.running + status.counts.gating
            left.append((f"{busy} of {status.slots} busy", Role.MUTED))
        panes = len(self.wall.panes)
        if not self.listed and 0 < panes < len(jobs):
            left.append((f"   {plural(panes, 'pane')}, w lists all", Role.MUTED))
        if not self.listed and self.wall.layout_of is not None:
            left.append((f"   layout {self.wall.layout_of}", Role.ACCENT))
        return left, ()

    def idle_parts(self, now: int) -> Sequence[Part]:
        job = self._job()
        if job is None:
            return ()
        where = self.list.places.get(job.id)
        on = [(f"on {clean_line(where)}  ", Role.MUTED)] if where is not None else []
        return [(f"{job_name(job.id)}  ", Role.MUTED), *on, (clean_line(job.title), Role.TEXT)]

    def _show_empty(self) -> None:
        if self._problem and not self.loaded:
            lines: tuple[tuple[Part, ...], ...] = (
                ((f"   {clean_line(self._problem)}", Role.FAILED),),
                (("   It is asked again by itself.", Role.MUTED),),
            )
        elif not self.loaded:
            lines = ((("   reading", Role.MUTED),),)
        else:
            lines = (
                (("   No agent is at work.", Role.TEXT),),
                (
                    ("   2", Role.KEY),
                    (" shows what waits and why, ", Role.MUTED),
                    ("headway submit \"...\"", Role.KEY),
                    (" gives them work.", Role.MUTED),
                ),
            )  # fmt: skip
        self.list.show_empty(lines)
        self.wall.show_note(lines)

    # What the keys do

    def _job(self) -> Job | None:
        if self.listed:
            return self.list.job
        pane = self.focused if isinstance(self.focused, Pane) else self._last_focus
        return pane.job if isinstance(pane, Pane) else None

    def targets(self) -> list[int]:
        job = self._job()
        return [job.id] if job is not None else []

    def show_job(self, job: int, tab: Tab) -> None:
        cast("ConsoleApp", self.app).open_job(job, tab)

    def action_open_worker(self) -> None:
        self._open_at(Tab.LOG)

    def action_next_worker(self) -> None:
        self._step_focus(1)

    def action_previous_worker(self) -> None:
        self._step_focus(-1)

    def _step_focus(self, step: int) -> None:
        stops: list[Widget] = [self.list] if self.listed else [*self.wall.panes]
        if not stops:
            return
        at = stops.index(self.focused) if self.focused in stops else -step
        stop = stops[(at + step) % len(stops)]
        self.set_focus(stop)
        if self.wall.zoomed and isinstance(stop, Pane):
            self.wall.zoom(stop)

    def action_zoom_worker(self) -> None:
        if self.listed:
            self._change_over(as_list=False)
        elif self.wall.zoomed:
            self.wall.zoom(None)
        elif isinstance(self.focused, Pane):
            self.wall.zoom(self.focused)

    def action_worker_list(self) -> None:
        self._change_over(as_list=not self.listed)

    def _change_over(self, *, as_list: bool) -> None:
        job = self._job()
        self._as_list = as_list
        self.wall.zoom(None)
        self.shape(*self.size)
        if as_list:
            self.set_focus(self.list)
            self.list.move_to(next((n for n, one in enumerate(self.list.jobs) if job and one.id == job.id), 0))
        else:
            of_job = (pane for pane in self.wall.panes if job and pane.job and pane.job.id == job.id)
            self.set_focus(next(of_job, next(iter(self.wall.panes), None)))
        self.draw_frame(self.desk.clock())

    def action_layout(self, panes: str = "") -> None:
        wanted: int | None
        if not panes:
            wanted = _LAYOUTS[(_LAYOUTS.index(self.wall.layout_of) + 1) % len(_LAYOUTS)]
        elif panes == "all":
            wanted = None
        elif panes.isascii() and panes.isdecimal() and int(panes) in _LAYOUTS:
            wanted = int(panes)
        else:
            self.say(f"no layout {panes!r}; there are 1, 2, 4, 8 and all", Role.FAILED)
            return
        if self.listed:
            self._change_over(as_list=False)
        self.wall.set_layout(wanted)
        self.draw_frame(self.desk.clock())
        self.say(f"{plural(wanted, 'pane')}" if wanted is not None else "a pane for each worker that there is room for")

    def action_leave_worker(self) -> None:
        if self.wall.zoomed:
            self.wall.zoom(None)
        elif (tail := self.text_read()) is not None and tail.searched:
            tail.search("")
