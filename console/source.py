"""The jobs of a list, held so that their number does not matter: the order as eight bytes a job, rows by the page."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from console.sizes import PAGE_ROWS, PAGES_KEPT
from engine.model import Job
from engine.model.listing import Wait

#: Rows around a job's old place that are searched before the whole order is.
_NEAR = 512


class JobSource:
    """An order of job ids and a cache of the pages that were looked at."""

    def __init__(self) -> None:
        self.order: array[int] = array("q")
        self._pages: OrderedDict[int, dict[int, Job]] = OrderedDict()
        self._carried: dict[int, Job] = {}
        self._stale: set[int] = set()
        self.waits: dict[int, Wait] = {}
        """Why rows that wait do not start, as far as that was asked."""

    def __len__(self) -> int:
        return len(self.order)

    @property
    def held_rows(self) -> int:
        """Rows in memory, whatever the number of jobs."""
        return sum(map(len, self._pages.values())) + len(self._carried)

    def job_at(self, index: int) -> Job | None:
        """The job at a place of the order, where its page is here."""
        page = self._pages.get(index // PAGE_ROWS)
        job = self.order[index]
        found = page.get(job) if page is not None else None
        return found or self._carried.get(job)

    def index_of(self, job: int, near: int = 0) -> int | None:
        """Where a job stands; `near` is where it stood before."""
        start = max(0, near - _NEAR)
        window = self.order[start : near + _NEAR]
        try:
            return start + window.index(job)
        except ValueError:
            pass
        try:
            return self.order.index(job)
        except ValueError:
            return None

    def replace(self, order: array[int], first: int, last: int) -> None:
        """Take a new order. Rows between the places `first` and `last` of the old one stay readable meanwhile."""
        carried: dict[int, Job] = {}
        for index in range(max(first, 0), min(last, len(self.order))):
            job = self.job_at(index)
            if job is not None:
                carried[job.id] = job
        self.order = order
        self._carried = carried
        self._pages.clear()
        self._stale.clear()

    def missing(self, first: int, last: int) -> list[int]:
        """The pages between two places that are not here yet. Pages that are here count as used."""
        wanted: list[int] = []
        last = min(last, len(self.order))
        for page in range(max(first, 0) // PAGE_ROWS, -(-last // PAGE_ROWS)):
            if page in self._pages:
                self._pages.move_to_end(page)
            else:
                wanted.append(page)
        return wanted

    def some(self) -> list[Job]:
        """Rows that are here, of the pages that were looked at last: enough to know what they are like."""
        return [job for page in [*self._pages.values()][-4:] for job in page.values()]

    def page_ids(self, page: int) -> Sequence[int]:
        return self.order[page * PAGE_ROWS : (page + 1) * PAGE_ROWS].tolist()

    def put(self, page: int, jobs: Iterable[Job]) -> None:
        """Keep a page; the one that was used longest ago makes room."""
        self._pages[page] = {job.id: job for job in jobs}
        self._pages.move_to_end(page)
        while len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)

    def changed(self, ids: Iterable[int]) -> None:
        """These jobs are not what the pages say any more."""
        for job in ids:
            if any(job in page for page in self._pages.values()):
                self._stale.add(job)

    def stale(self, first: int, last: int) -> list[int]:
        """The jobs between two places that are to be read again."""
        if not self._stale:
            return []
        return [job for job in self.order[max(first, 0) : last] if job in self._stale]

    def update(self, asked: Iterable[int], jobs: Iterable[Job]) -> None:
        """Put newly read jobs in their places. Asked-for jobs that came back are not stale any more."""
        self._stale.difference_update(asked)
        for job in jobs:
            for page in self._pages.values():
                if job.id in page:
                    page[job.id] = job
                    break
            else:
                if job.id in self._carried:
                    self._carried[job.id] = job

    def drop_stale_pages(self, first: int, last: int) -> None:
        """Forget pages with stale rows that nobody sees: they are read again when somebody looks."""
        if not self._stale:
            return
        seen = set(range(max(first, 0) // PAGE_ROWS, -(-last // PAGE_ROWS)))
        for page in [n for n in self._pages if n not in seen]:
            if not self._stale.isdisjoint(self._pages[page]):
                self._stale.difference_update(self._pages[page])
                del self._pages[page]


class Marks:
    """The marked jobs, by id. `all_of` marks an order of any length without copying it."""

    def __init__(self) -> None:
        self._all: array[int] | None = None
        self._but: set[int] = set()
        self._ids: set[int] = set()

    def __contains__(self, job: int) -> bool:
        return job in self._ids or (self._all is not None and job not in self._but)

    def __len__(self) -> int:
        return len(self._ids) if self._all is None else len(self._all) - len(self._but)

    def toggle(self, job: int) -> None:
        if self._all is not None:
            self._but ^= {job}
        else:
            self._ids ^= {job}

    def add(self, jobs: Iterable[int]) -> None:
        if self._all is not None:
            self._but.difference_update(jobs)
        else:
            self._ids.update(jobs)

    def all_of(self, order: array[int]) -> None:
        """Mark every job of an order. Holds as long as that order is shown; `settle` before another one is."""
        self.clear()
        self._all = order

    def invert(self, order: array[int]) -> None:
        """Mark what of an order is not marked, and nothing else."""
        if self._all is not None:
            self._all, self._but, self._ids = None, set(), self._but
        else:
            self._all, self._but, self._ids = order, {job for job in order if job in self._ids}, set()

    def settle(self) -> None:
        """Turn `all_of` into plain ids, because another order is about to be shown."""
        if self._all is not None:
            self._ids, self._all, self._but = set(self._all) - self._but, None, set()

    def clear(self) -> None:
        self._all, self._but, self._ids = None, set(), set()

    def ids(self) -> list[int]:
        """The marked ids, in the order that was marked where that is known, else ascending."""
        if self._all is not None:
            return [job for job in self._all if job not in self._but]
        return sorted(self._ids)
