"""The budget of bytes (they do not depend on the machine), and that of memory, through a real terminal at 160x50."""

from __future__ import annotations

import pytest

from tests.benchmarks.console import measure
from tests.benchmarks.console.measure import console

pytestmark = pytest.mark.long

IDLE, KEY, PAGE, SWITCH, QUESTION = 300, 600, 8_000, 25_000, 3_000
UPDATES = 12_000  #: a second, for 50 rows that change
WALL = {"ssh": 20_000, "thin": 8_000}  #: a second, for 8 panes of 20 lines a second
MEMORY = 90  #: MiB


@pytest.mark.parametrize(("jobs", "link"), [(1_000, "ssh"), (1_000_000, "local")], ids=["1,000", "1,000,000"])
def test_what_keys_bring_and_what_the_console_holds(jobs: int, link: str) -> None:
    with console(jobs, link) as terminal:
        got = measure.bytes_of(terminal)
        assert got.idle <= IDLE
        assert got.key <= KEY
        assert got.page <= PAGE
        assert got.question <= QUESTION
        assert got.switch <= SWITCH, got.asked_of
        assert measure.memory(terminal) <= MEMORY


def test_what_rows_that_change_bring() -> None:
    with console(1_000, "ssh", "updates") as terminal:
        bytes_a_second, _ = measure.flow(terminal)
        assert 0 < bytes_a_second <= UPDATES


@pytest.mark.parametrize("link", WALL)
def test_what_eight_agents_that_talk_bring(link: str) -> None:
    with console(1_000, link, "wall", place="workers") as terminal:
        bytes_a_second, _ = measure.flow(terminal)
        assert 0 < bytes_a_second <= WALL[link]


def test_what_a_switch_to_a_list_brings_that_has_something_in_it() -> None:
    with console(1_000, "ssh", "laden") as terminal:
        got = measure.bytes_of(terminal)
        assert got.idle <= IDLE
        assert got.switch <= SWITCH, got.asked_of
