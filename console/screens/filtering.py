"""The filter of a list of jobs: live while it is typed, and never at the price of the list."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import partial

from textual.timer import Timer

from console.completing import either, offers
from console.desk import Desk
from console.roles import Role
from console.screens.operating import Operating
from console.widgets.ask_bar import AskBar
from engine.errors import HeadwayError

#: Seconds of no typing before a filter is tried.
_TYPING = 0.12


class Filtering(Operating):
    """A screen whose list can be narrowed. Wrong text leaves the last good list where it is."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.filter = ""
        self._typing: Timer | None = None
        self._before_prompt = ""
        self._about: Mapping[str, Sequence[str]] = {}
        """Values of the list as it was before what is typed narrowed it."""
        self._offered: list[str] = []
        self._offer = -1

    def known(self) -> Mapping[str, Sequence[str]]:
        """Values that a filter can name, by key: those that are about."""
        return {}

    def sorted_by(self) -> str:
        """What the list is sorted by, as the engine is asked for it."""
        return ""

    def show_matches(self, order: array[int]) -> None:
        """Show the jobs that match the filter."""
        raise NotImplementedError

    def action_filter(self, text: str = "") -> None:
        if text:
            self.try_filter(text, entered=True)
            return
        self._before_prompt, self._about = self.filter, self.known()
        self.ask.prompt("filter", "/", self.filter)

    def try_filter(self, text: str, *, entered: bool = False) -> None:
        """Ask for what matches; a newer text overtakes an older one."""
        call = partial(self._try_filter, text, entered=entered)
        # What is typed after enter is meant for the list as it will be then.
        self.in_background(self.in_turn(call) if entered else call, "filter")

    async def _try_filter(self, text: str, *, entered: bool = False) -> None:
        """Show what matches; where the text is wrong, say so and leave the list as it is."""
        text = " ".join(text.split())
        try:
            self.desk.require_engine()
            order = await self.desk.client.order(text, self.sorted_by())
        except HeadwayError as error:
            # What is typed stands before it, so the room is for what is wrong.
            if entered or not self._offered:  # a word that can go on is no mistake yet
                self.ask.mark_wrong(error.message.removeprefix("filter: "))
            if entered:
                self.say(error.message, Role.FAILED)
            return
        if not self._offered:
            self.ask.mark_right()
        self.filter = text
        self.show_matches(order)

    def on_ask_bar_changed(self, event: AskBar.Changed) -> None:
        if event.kind != "filter":
            return
        if self._typing is not None:
            self._typing.stop()
        text = event.text
        taken = self._offered[self._offer] if self._offered and self._offer >= 0 else None
        if text != taken:  # what was typed by hand goes on from there, also where it was offered
            self._offered, self._offer = offers(text, either(self._about, self.known())), -1
            self.ask.offer([one[text.rfind(" ") + 1 :] for one in self._offered])
        self._typing = self.set_timer(_TYPING, lambda: self.try_filter(text))

    def on_ask_bar_completing(self, event: AskBar.Completing) -> None:
        """Put the next offer into the prompt; after the last one the first comes again."""
        if event.kind == "filter" and self._offered:
            self._offer = (max(self._offer, -1 if event.step > 0 else 0) + event.step) % len(self._offered)
            self.ask.put(self._offered[self._offer])
            if len(self._offered) == 1:  # what it was completed to may go on
                self._offered = []

    def on_ask_bar_entered(self, event: AskBar.Entered) -> None:
        if event.kind == "filter":
            if self._typing is not None:
                self._typing.stop()
            self.try_filter(event.text, entered=True)

    def on_ask_bar_left(self, event: AskBar.Left) -> None:
        if event.kind != "filter":
            return
        if self._typing is not None:
            self._typing.stop()
        if self.filter != self._before_prompt:
            self.try_filter(self._before_prompt)
