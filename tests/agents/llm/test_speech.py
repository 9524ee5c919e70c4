"""The answer's text in pieces, and what is never said."""

from __future__ import annotations

import io
import json

import hypothesis.strategies as st
from hypothesis import given

from engine.agents.llm.lines import ErrorLine
from engine.agents.llm.speech import GOOD_CHARS, MOST_CHARS, Pieces, Speech
from engine.model import Failure


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_comes_fast_is_held_until_a_line_ends() -> None:
    pieces = Pieces(Clock())
    assert pieces.feed("a few words") == []
    assert pieces.feed("\nand more ") == []
    told = pieces.feed("x" * GOOD_CHARS)
    assert told == ["a few words\n"]
    assert pieces.rest() == ["and more " + "x" * GOOD_CHARS]


def test_after_a_second_a_sentence_is_enough() -> None:
    clock = Clock()
    pieces = Pieces(clock)
    assert pieces.feed("One. Two. Th") == []
    clock.now = 1.5
    assert pieces.feed("ree") == ["One. Two. "]
    assert pieces.rest() == ["Three"]


def test_a_line_without_an_end_is_cut_between_two_words() -> None:
    pieces = Pieces(Clock())
    told = pieces.feed("word " * MOST_CHARS)
    assert told
    assert all(len(one) <= MOST_CHARS and one.endswith(" ") for one in told)
    assert len(Pieces(Clock()).feed("x" * (2 * MOST_CHARS + 1))) == 2, "not even a space"


@given(st.lists(st.tuples(st.text(alphabet="ab .\n", max_size=900), st.floats(0, 2))))
def test_nothing_is_lost_or_changed(given_: list[tuple[str, float]]) -> None:
    clock = Clock()
    pieces, told = Pieces(clock), []
    for text, later in given_:
        clock.now += later
        told += pieces.feed(text)
    told += pieces.rest()
    assert "".join(told) == "".join(text for text, _ in given_)
    assert all(told)
    assert all(len(one) <= MOST_CHARS for one in told[:-1])


def test_half_a_character_breaks_no_line() -> None:
    out = io.BytesIO()
    say = Speech(out, "")
    say.thinking("\ud83d ")
    say.text("a \ud83d b é")
    say.finish()
    assert [json.loads(line)["text"] for line in out.getvalue().splitlines()] == ["? ", "a ? b é"]
    assert say.answer == "a ? b é"


def test_the_key_is_never_said() -> None:
    out = io.BytesIO()
    say = Speech(out, "sk-secret-value")
    say.text("The key is sk-secret-value.\n")
    say.finish()
    say.line(ErrorLine(Failure.AUTH, "Incorrect API key provided: sk-secret-value"))
    assert b"sk-secret-value" not in out.getvalue()
    assert [json.loads(line)["type"] for line in out.getvalue().splitlines()] == ["text", "error"]
