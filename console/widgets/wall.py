"""The worker panes: as many as fit, or as are wanted, each keeping its job until that ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Grid
from textual.events import Resize

from console.desk import Desk
from console.messages import Pulse
from console.placement import Slot, grid, place
from console.roles import Part
from console.widgets.line import Line
from console.widgets.pane import Pane
from engine.model import Job


class Wall(Grid):
    """A grid of panes that grows with the number of jobs that run at once, and does not shrink behind them."""

    DEFAULT_CSS = """
    Wall { width: 1fr; height: 1fr; grid-gutter: 0 1; }
    Wall Line { display: none; }
    Wall.-empty Pane { display: none; }
    Wall.-empty Line { display: block; }
    Wall.-zoomed Pane { display: none; }
    Wall.-zoomed Pane.-zoom { display: block; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="wall")
        self._desk = desk
        self._since: dict[Pane, int] = {}
        self._count = 0
        self._wanted = 1
        self._jobs: list[Job] = []
        self._stacked = False
        self.layout_of: int | None = None
        """So many panes; None for as many as there are jobs and room for."""
        self._notes = [Line(desk), Line(desk)]

    def compose(self) -> ComposeResult:
        yield from self._notes

    def on_mount(self) -> None:
        self.add_class("-empty")

    @property
    def panes(self) -> list[Pane]:
        return [pane for pane in self.query(Pane) if pane.job is not None]

    @property
    def zoomed(self) -> bool:
        return self.has_class("-zoomed")

    def set_stacked(self, stacked: bool) -> None:
        self._stacked = stacked
        self.call_later(self._arrange)

    def on_resize(self, event: Resize) -> None:
        self.call_later(self._arrange)

    def show_note(self, lines: Sequence[Sequence[Part]]) -> None:
        """What stands there while no agent is at work."""
        for note, line in zip(self._notes, [*lines, (), ()], strict=False):
            note.show(line)

    def set_layout(self, panes: int | None) -> None:
        """Show so many panes, or all."""
        self.layout_of = panes
        self.call_later(self._arrange)

    async def show_running(self, jobs: Sequence[Job]) -> None:
        """These jobs run now: give panes to those that have none."""
        self._jobs = list(jobs)
        self._wanted = max(self._wanted, len(jobs), len(self.panes))
        await self._arrange()

    def update(self, jobs: Iterable[Job]) -> None:
        """These jobs changed: tell the panes that show them."""
        by_id = {job.id: job for job in jobs}
        for pane in self.panes:
            assert pane.job is not None
            if (job := by_id.get(pane.job.id)) is not None:
                pane.take(job)

    def shown(self) -> frozenset[int]:
        """The jobs in panes."""
        return frozenset(pane.job.id for pane in self.panes if pane.job is not None)

    async def _arrange(self) -> None:
        if self.size.width == 0 or not self.is_attached:
            return
        wanted = self._wanted if self.layout_of is None else self.layout_of
        columns, rows = grid(self.size.width, self.size.height, wanted, stacked=self._stacked)
        await self._make_panes(columns * rows)
        if not self.zoomed:
            self.styles.grid_size_columns = columns
            self.styles.grid_size_rows = rows
        panes = list(self.query(Pane))
        slots = [Slot(pane.job.id if pane.job else None, pane.live, self._since.get(pane, 0)) for pane in panes]
        by_id = {job.id: job for job in self._jobs}
        for index, job in place(slots, list(by_id)).items():
            self._count += 1
            self._since[panes[index]] = self._count
            panes[index].take(by_id[job])
        self.set_class(not self.panes, "-empty")

    async def _make_panes(self, count: int) -> None:
        panes = list(self.query(Pane))
        if len(panes) < count:
            await self.mount(*(Pane(self._desk) for _ in range(count - len(panes))))
        elif len(panes) > count:
            # The panes whose jobs ended go first, then those at the end.
            surplus = sorted(panes, key=lambda pane: (pane.live, pane.has_focus, -self._since.get(pane, 0)))
            for pane in surplus[: len(panes) - count]:
                self._since.pop(pane, None)
                await pane.remove()

    def zoom(self, pane: Pane | None) -> None:
        """Give the whole wall to one pane, or back to all."""
        for other in self.query(Pane):
            other.set_class(other is pane, "-zoom")
        self.set_class(pane is not None, "-zoomed")
        if pane is not None:
            self.styles.grid_size_columns = self.styles.grid_size_rows = 1
        else:
            self.call_later(self._arrange)

    def beat(self, pulse: Pulse) -> None:
        for pane in self.query(Pane):
            if pane.has_focus or pulse.calm:
                pane.beat(pulse.now)
