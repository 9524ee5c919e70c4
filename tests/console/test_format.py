from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from console.format import age, clean, clean_line, clean_lines, fit, money, right, tokens, wrap
from console.sizes import LINE_MOST
from engine.model import Grade

MINUTE = 60_000


@pytest.mark.parametrize(
    ("ms", "step", "text"),
    [
        (0, 1, "0s"), (-5_000, 1, "0s"), (41_000, 1, "41s"), (44_000, 5, "40s"), (59_999, 1, "59s"), (MINUTE, 1, "1m"),
        (59 * MINUTE, 1, "59m"), (124 * MINUTE, 1, "2h04"), (1439 * MINUTE, 1, "23h59"), (1440 * MINUTE, 1, "1d00h"),
        (4560 * MINUTE, 1, "3d04h"), (200 * 1440 * MINUTE, 1, "200d"),
    ],
)  # fmt: skip
def test_an_age_has_the_resolution_its_reader_needs(ms: int, step: int, text: str) -> None:
    assert age(ms, step) == text


@pytest.mark.parametrize(
    ("micros", "grade", "text"),
    [
        (None, Grade.UNKNOWN, "-"), (1_204_000, Grade.REPORTED, "$1.20"), (1_204_000, Grade.COMPUTED, "$1.20*"),
        (9_999, Grade.ESTIMATED, "$0.01~"), (1_234_567_890_000, Grade.UNKNOWN, "$1,234,567.89?"),
    ],
)  # fmt: skip
def test_money_carries_the_mark_of_its_grade(micros: int | None, grade: Grade, text: str) -> None:
    assert money(micros, grade) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0k"), (9_949, "9.9k"), (9_950, "10k"), (41_200, "41k"), (999_499, "999k"),
     (999_500, "1.0M"), (1_234_567, "1.2M")],
)  # fmt: skip
def test_tokens_are_short(count: int, text: str) -> None:
    assert tokens(count) == text


def test_a_tab_becomes_spaces_up_to_the_next_stop() -> None:
    assert clean("a\tb\x1b[31m\tc") == "a   b   c"


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b[]0;m\x07\x9b\x9d\\P\n\t"))))
def test_clean_text_has_no_control_whatever_it_was(raw: str) -> None:
    for line in clean_lines(raw):
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in line)
    assert "\n" not in clean_line(raw)


def test_a_long_line_is_cut_on_the_way_in() -> None:
    (line,) = clean_lines("x" * 90_000)
    assert len(line) == LINE_MOST


@given(st.text(), st.integers(0, 40))
def test_a_fitted_text_has_exactly_its_width(text: str, width: int) -> None:
    line = clean_line(text)
    assert cell_len(fit(line, width)) == width
    if width:
        assert cell_len(right(line, width)) == width


@given(st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.just(" "))), st.integers(4, 40), st.integers(0, 6))
def test_wrapped_rows_fit_and_lose_nothing(text: str, width: int, indent: int) -> None:
    line = clean_line(text)
    rows = wrap(line, width, indent)
    assert all(cell_len(row) <= width for row in rows)
    assert "".join("".join(rows).split()) == "".join(line.split())
