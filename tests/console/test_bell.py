"""The console rings when the engine has something to tell: once a beat, and not for what is long past."""

from __future__ import annotations

import pytest

from console.bell import ring, words
from console.messages import Rings
from engine.events import Notified
from engine.notice import NoticeClass
from tests.console import scenes
from tests.console.fake import NOW
from tests.console.stage import console


@pytest.mark.parametrize(("term", "written"), [("xterm-256color", "\x1b]9;J7 asks\a\a"), ("linux", "\a")])
def test_a_terminal_is_rung_in_its_own_way(term: str, written: str) -> None:
    assert ring("J7 asks", term) == written


def notice(title: str, text: str = "") -> Notified:
    return Notified(uid=title, about=NoticeClass.NEEDS_YOU, title=title, text=text)


def test_others_words_are_short_and_carry_no_control_characters() -> None:
    assert words([notice("J8 asks\x1b]0;owned\x07", "may I?\nreally")]) == "J8 asks: may I?"
    assert len(words([notice("x" * 5_000)])) == 200


async def test_several_notices_ring_once_and_are_said() -> None:
    async with console(scenes.busy()) as stage:
        await stage.until(lambda: stage.engine.followers)
        told: list[int] = []
        real = stage.app.tell

        def hear(message: object) -> None:
            told.extend([len(message.told)] if isinstance(message, Rings) else [])
            real(message)  # type: ignore[arg-type]

        stage.app.feed._tell = hear
        stage.engine.emit(notice("J7 asks"))
        stage.engine.emit(notice("J8 asks"))
        await stage.shows("J8 asks (and 1 more)")
        assert told == [2]
        stage.now = NOW + 120_000
        stage.engine.emit(notice("J9 asked two minutes ago"))
        await stage.settle()
        stage.app.feed.flush()
        assert told == [2]
