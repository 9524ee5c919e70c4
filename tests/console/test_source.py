from __future__ import annotations

from array import array

import pytest

from console.pace import Pace
from console.placement import Slot, grid, place
from console.sizes import PAGE_ROWS, PAGES_KEPT
from console.source import JobSource, Marks
from tests.console.fake import make_job


def filled(count: int) -> JobSource:
    source = JobSource()
    source.replace(array("q", range(1, count + 1)), 0, 0)
    return source


def read(source: JobSource, first: int, last: int) -> int:
    """Read the pages that are missing between two places, and say how many there were."""
    pages = source.missing(first, last)
    for page in pages:
        source.put(page, [make_job(job) for job in source.page_ids(page)])
    return len(pages)


def test_only_the_pages_in_sight_are_missing() -> None:
    source = filled(1000)
    assert source.missing(0, 40) == [0]
    assert source.missing(120, 160) == [0, 1]
    assert read(source, 120, 160) == 2
    assert source.missing(120, 160) == []
    assert source.job_at(130) == make_job(131)
    assert source.job_at(600) is None
    assert source.missing(990, 2000) == [7]


def test_rows_in_memory_do_not_grow_with_the_way_one_has_come() -> None:
    source = filled(PAGE_ROWS * PAGES_KEPT * 3)
    for place_ in range(0, len(source), PAGE_ROWS):
        read(source, place_, place_ + 1)
    assert source.held_rows == PAGE_ROWS * PAGES_KEPT
    assert source.missing(len(source) - 1, len(source)) == []
    assert source.missing(0, 1) == [0]


def test_a_page_that_was_looked_at_again_outlives_an_older_one() -> None:
    source = filled(PAGE_ROWS * (PAGES_KEPT + 1))
    for page in range(PAGES_KEPT):
        read(source, page * PAGE_ROWS, page * PAGE_ROWS + 1)
    source.missing(0, 1)
    read(source, PAGES_KEPT * PAGE_ROWS, PAGES_KEPT * PAGE_ROWS + 1)
    assert source.missing(0, 1) == []
    assert source.missing(PAGE_ROWS, PAGE_ROWS + 1) == [1]


def test_rows_in_sight_stay_readable_while_a_new_order_comes() -> None:
    source = filled(500)
    read(source, 0, 40)
    source.replace(array("q", [900, *range(1, 500)]), 0, 40)
    assert source.job_at(0) is None
    assert source.job_at(1) == make_job(1)
    assert source.job_at(200) is None


def test_changed_rows_are_read_again_only_where_they_are_seen() -> None:
    source = filled(1000)
    read(source, 0, 300)
    source.changed([5, 250, 999])
    assert source.stale(0, 40) == [5]
    source.update([5], [make_job(5, title="new")])
    assert source.stale(0, 40) == []
    job = source.job_at(4)
    assert job is not None and job.title == "new"
    source.drop_stale_pages(0, 128)
    assert source.missing(200, 300) == [1]


@pytest.mark.parametrize("near", [0, 400, 900_000])
def test_a_job_is_found_from_anywhere(near: int) -> None:
    assert filled(1_000_000).index_of(700, near) == 699
    assert filled(1000).index_of(5000, near) is None


def test_marks_are_ids() -> None:
    marks = Marks()
    marks.toggle(3)
    marks.add([9, 4])
    marks.toggle(4)
    assert marks.ids() == [3, 9] and len(marks) == 2 and 9 in marks and 4 not in marks
    marks.clear()
    assert marks.ids() == [] and 3 not in marks


def test_all_of_a_million_are_marked_without_a_copy() -> None:
    order = array("q", range(1, 1_000_001))
    marks = Marks()
    marks.all_of(order)
    marks.toggle(7)
    assert len(marks) == 999_999 and 7 not in marks and 8 in marks
    assert marks.ids()[:7] == [1, 2, 3, 4, 5, 6, 8]


def test_all_of_an_order_does_not_reach_into_the_next_one() -> None:
    marks = Marks()
    marks.all_of(array("q", [1, 2, 3]))
    marks.toggle(2)
    marks.settle()
    assert marks.ids() == [1, 3] and 4 not in marks


def test_a_read_is_spaced_by_what_it_costs(real_pace: None) -> None:
    pace = Pace()
    assert pace.due(0.0)
    pace.start(0.0)
    assert not pace.due(5.0)
    pace.end(0.01)
    assert not pace.due(0.9) and pace.due(1.1)
    pace.start(10.0)
    pace.end(10.5)
    assert not pace.due(20.0) and pace.due(20.6)


@pytest.mark.parametrize(
    ("slots", "running", "placed"),
    [
        ([Slot(None, False, 0), Slot(None, False, 0)], [7], {0: 7}),
        ([Slot(7, True, 1), Slot(None, False, 0)], [7], {}),
        ([Slot(7, True, 1), Slot(None, False, 0)], [7, 8], {1: 8}),
        ([Slot(7, True, 1), Slot(6, True, 2)], [8, 7, 6], {}),
        ([Slot(7, False, 2), Slot(6, False, 1)], [8], {1: 8}),
        ([Slot(7, False, 1), Slot(None, False, 0)], [8], {1: 8}),
        ([Slot(7, False, 1), Slot(6, False, 2)], [6, 8], {1: 6, 0: 8}),
        ([], [1, 2], {}),
    ],
)
def test_a_pane_keeps_its_job_until_it_ends(slots: list[Slot], running: list[int], placed: dict[int, int]) -> None:
    assert place(slots, running) == placed


@pytest.mark.parametrize(
    ("cells", "wanted", "stacked", "shape"),
    [
        ((53, 36), 1, False, (1, 1)), ((53, 36), 4, False, (1, 4)),
        ((53, 36), 8, False, (1, 6)), ((90, 56), 12, False, (2, 6)),
        ((80, 8), 4, True, (1, 2)), ((80, 3), 4, True, (1, 1)),
        ((300, 100), 90, False, (4, 6)), ((10, 2), 3, False, (1, 1)),
    ],
)  # fmt: skip
def test_panes_are_as_many_as_fit(cells: tuple[int, int], wanted: int, stacked: bool, shape: tuple[int, int]) -> None:
    assert grid(*cells, wanted, stacked=stacked) == shape
