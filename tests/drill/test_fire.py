"""The fire drill: its card says what it saw, and the engine comes through real faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from console.cli.app import application
from console.fire import faults
from console.fire.card import Card, gap, twice
from tests.conftest import Served

pytestmark = pytest.mark.long

WELL = Card(fault="x", jobs=2, detected=1, recovered=5)


@pytest.mark.parametrize(
    "worse",
    [{"lost": 1}, {"twice": 1}, {"recovered": None}, {"trouble": "3 calls into the closed window"}],
    ids=str,
)
def test_nothing_that_went_wrong_passes(worse: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert WELL.passed and not replace(WELL, **worse).passed

    async def badly(folder: Path) -> Card:
        return replace(WELL, **worse)

    monkeypatch.setattr(faults, "FAULTS", {"agent": badly})
    done = CliRunner().invoke(application(["drill"]), ["drill", "fire", "agent"])
    assert done.exit_code == 1, done.output


def test_what_was_not_put_in_is_said_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_here(folder: Path) -> Card:
        return Card(fault="disk full", jobs=0, skipped="no file system can be mounted")

    monkeypatch.setattr(faults, "FAULTS", {"disk": not_here})
    done = CliRunner().invoke(application(["drill"]), ["drill", "fire"])
    assert done.exit_code == 0 and "not put in: no file system can be mounted" in done.output


def test_marks_and_gaps_are_counted() -> None:
    assert twice("1\n2\n1\n3\n3\n3\n") == 2
    assert gap([1, 2, 3], 3) == ""
    assert gap([1, 3, 3], 4) == "2 events were missed and 1 told twice"
    assert gap([2, 1], 2) == "0 events were missed and 0 told twice", "out of order is no log either"


def test_the_engine_comes_through_what_is_quick(tmp_path: Path) -> None:
    done = Served(tmp_path / "home").headway("drill", "fire", "line", "garbage", "--json")
    cards = json.loads(done.stdout)
    assert done.returncode == 0, cards
    assert [card["fault"] for card in cards] == ["line cut", "garbled lines"]
    assert all(card["recovered"] >= card["detected"] >= 0 and not card["lost"] and not card["twice"] for card in cards)
    assert cards[0]["by"].endswith("gone on from the last event")
    assert not (tmp_path / "home").exists(), "the user's own home is left alone"


async def test_a_clock_that_is_set_ahead_and_back_makes_nothing_late_or_twice(tmp_path: Path) -> None:
    card = await faults.FAULTS["clock"](tmp_path / "clock")
    assert card.passed, card
    assert card.by.startswith("clock_set by 2 h and back")


async def test_a_console_over_ssh_goes_on_where_its_line_was_cut(tmp_path: Path) -> None:
    card = await faults.FAULTS["ssh"](tmp_path / "ssh")
    if card.skipped:
        pytest.skip(f"NOT RUN: {card.skipped}")
    assert card.passed, card


def test_an_unknown_fault_has_a_nearest_one(tmp_path: Path) -> None:
    done = Served(tmp_path / "home").headway("drill", "fire", "discs")
    assert done.returncode == 2 and "did you mean 'disk'?" in done.stderr
