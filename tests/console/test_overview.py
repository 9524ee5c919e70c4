"""The overview: pictures as text, what is kept where there is little room, and where its lines lead."""

from __future__ import annotations

import pytest

from console.charts import bar, gauge, spark
from console.overview import Block, BoardLine, fold
from console.roles import Role
from console.screens.inbox import InboxScreen
from console.screens.job import JobScreen
from engine.decision import Choice
from engine.events import Answered
from tests.console import scenes
from tests.console.stage import console


@pytest.mark.parametrize(
    ("values", "width", "text"),
    [
        ([], None, ""), ([0, 0], None, "▁▁"), ([1, 1000], None, "▂█"), ([0, 4, 8], None, "▁▅█"), ([9, 1, 2], 2, "▅█"),
        ([5], 0, ""),
    ],
)  # fmt: skip
def test_bars_are_as_high_as_their_share_and_never_hide_a_value(values: list[int], width: int, text: str) -> None:
    assert spark(values, width) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "░░░░"), (0.001, "█░░░"), (0.5, "██░░"), (0.999, "███░"), (1.0, "████"), (7.0, "████")]
)
def test_a_gauge_is_full_only_where_nothing_is_left(share: float, text: str) -> None:
    assert gauge(share, 4) == text


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (0, 50, "█████     "),
        (50, None, "     █████"),
        (20, 20, "  █       "),
        (-90, 900, "█" * 10),
        (200, 300, " " * 9 + "█"),
    ],
)
def test_a_bar_in_time_is_seen_and_stays_on_its_axis(start: int, end: int | None, text: str) -> None:
    assert bar(start, end, 0, 100, 10) == text


def block(name: str, count: int, least: int = 3) -> Block:
    return Block(
        BoardLine(((name, Role.TEXT),)), tuple(BoardLine(((f"{name}{n}", Role.TEXT),)) for n in range(count)), least
    )


def words(lines: list[BoardLine]) -> list[str]:
    return ["".join(text for text, _ in line.left).strip() for line in lines]


@pytest.mark.parametrize("height", range(6, 40))
def test_blocks_drop_to_their_top_lines_and_say_what_is_left_out(height: int) -> None:
    shown = words(fold([block("a", 9), block("b", 2), block("c", 5)], height))
    assert len(shown) <= height
    assert shown[:2] == ["a", "a0"]
    if height >= 11:
        assert {"b", "b1", "c", "c0"} <= set(shown)
        rest = [int(word.split()[0]) for word in shown if word.endswith("more")]
        kept = sum(word[:1] in ("a", "b", "c") and word[1:].isdecimal() for word in shown)
        assert kept + sum(rest) == 16


async def test_a_line_opens_its_card_or_its_job_and_esc_comes_back() -> None:
    async with console(scenes.asking(), 100, 40) as stage:
        await stage.press("1")
        await stage.shows("Which parser is canonical?")
        await stage.press("j", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, InboxScreen))
        await stage.until(lambda: stage.app.screen.list.card.job == 4832)  # type: ignore[union-attr]
        await stage.press("1", "j", "j", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        await stage.shows("Overview › J4833")
        await stage.press("escape")
        await stage.shows("last hour")


async def test_the_cursor_stays_with_its_job_while_cards_go() -> None:
    async with console(scenes.asking(), 100, 40) as stage:
        await stage.press("1")
        await stage.shows("Which parser is canonical?")
        await stage.press("j", "j")
        assert stage.overview.targets() == [4830]
        stage.engine.cards = stage.engine.cards[1:]
        stage.engine.emit(Answered(card=7, choice=Choice.ALLOW, by="x"), 4833)
        await stage.until(lambda: "git push origin" not in stage.text)
        assert stage.overview.board.line is not None and stage.overview.board.line.card == 9


async def test_what_is_to_come_is_drawn_in_time_and_said_in_a_line() -> None:
    async with console(scenes.busy(), 100, 40) as stage:
        await stage.press("1", "w")
        await stage.shows("█ so far  ▒ likely  ░ nine of ten")
        await stage.shows("it is held")
        (line,) = (line for line in stage.lines if "J4833" in line and "▒" in line)
        assert line.index("█") < line.index("▒") < line.index("░")
        (later,) = (line for line in stage.lines if "J4840" in line)
        assert "█" not in later and later.index("▒") > line.index("▒")
        await stage.shows("about $4.20~ more")
        await stage.press("escape")
        await stage.shows("needs you")


async def test_a_card_that_comes_is_shown_also_where_no_job_moved() -> None:
    engine = scenes.asking()
    cards, engine.cards = engine.cards, []
    async with console(engine, 100, 40) as stage:
        await stage.press("1")
        await stage.shows("nothing waits for you")
        engine.cards = cards
        await stage.app.feed._read_status()
        await stage.shows("Which parser is canonical?")
