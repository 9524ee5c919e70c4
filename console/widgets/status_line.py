"""The top line of every screen: who, how many, how much, how the engine is, and the time."""

from __future__ import annotations

from console.desk import Desk
from console.draw import width_of
from console.format import clock, money, number
from console.roles import Ground, Part, Role
from console.sizes import WORDS
from console.status import ASKING, FAILED, HELD, READY, RUNNING, Mark
from console.widgets.line import Line
from engine.model import Grade, Status


class StatusLine(Line):
    """Counts with their glyphs (and words where there is room), today's money with its grade, the engine's state."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, ground=Ground.BAR, id="status")

    def refresh_words(self, now: int) -> None:
        """Bring the line up to date. `now` is milliseconds UTC."""
        desk = self._desk
        left: list[Part] = [(f" headway@{desk.host}  ", Role.HEADING)]
        state = self._state(desk.status, now)
        right: list[Part] = [state, (f"   {clock(now)} ", Role.MUTED)]
        if desk.status is not None:
            room = self.size.width - width_of(left) - width_of(right)
            for words in (True, False):
                counts = self._counts(desk.status, words and self.size.width >= WORDS)
                if width_of(counts) <= room:
                    break
            left += counts
        self.show(left, right)

    def _counts(self, status: Status, words: bool) -> list[Part]:
        counts = status.counts
        shown: list[tuple[Mark, int, bool]] = [
            (ASKING, status.cards, False),
            (RUNNING, counts.running + counts.gating, True),
            (READY, counts.ready + counts.blocked, True),
            (HELD, counts.held, False),
            (FAILED, counts.failed, True),
        ]
        parts: list[Part] = []
        for mark, count, always in shown:
            if not count and not always:
                continue
            role = mark.role if count else Role.MUTED
            word = {"ready": "queued", "asks you": "for you"}.get(mark.word, mark.word)
            parts.append((f"{mark.glyph}{number(count)}", role))
            parts.append((f" {word}   " if words else "  ", Role.MUTED))
        grade = status.spend_today_grade if status.spend_today_micros else Grade.REPORTED
        spent = money(status.spend_today_micros, grade)
        parts += [(spent, Role.TEXT), (" today" if words else "", Role.MUTED)]
        return parts

    def _state(self, status: Status | None, now: int) -> Part:
        if self._desk.offline_since is not None:
            return (f" {self._desk.offline_text(now)} ", Role.YOU)
        if status is None:
            return ("connecting", Role.MUTED)
        if status.draining:
            return (" draining ", Role.YOU)
        if status.held_all:
            return (" all held ", Role.YOU)
        busy = status.counts.running + status.counts.gating
        return (f"{busy} of {status.slots} slots", Role.MUTED)
