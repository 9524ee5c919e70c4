"""The line above the key hints: what just happened, what is asked, what is typed. Instead of dialogs and toasts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Key
from textual.message import Message
from textual.widgets import Input

from console.actions import Scope, bindings
from console.desk import Desk
from console.format import clean_line
from console.roles import Part, Role
from console.widgets.line import Line

#: Milliseconds that a message stays before the line shows the row under the cursor again.
_STAYS = 10_000


class Question(Line, can_focus=True):
    """The words of the ask-bar. Has the focus while a question waits for `y` or `n`, and then hears nothing else."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.ASK)

    @dataclass
    class Answered(Message):
        yes: bool

    def action_yes(self) -> None:
        self.post_message(self.Answered(True))

    def action_no(self) -> None:
        self.post_message(self.Answered(False))

    def on_key(self, event: Key) -> None:
        """Swallow every key without a meaning here: enter must not confirm, and the list must not move unseen."""
        if event.key not in ("ctrl+c",) and not self._bindings.key_to_bindings.get(event.key):
            event.stop()
            event.prevent_default()


class Prompt(Input):
    """A line to type into. Tab completes it, and never leaves it: the keys that follow would be verbs elsewhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete(1)", show=False),
        Binding("shift+tab", "complete(-1)", show=False),
    ]

    @dataclass
    class Completing(Message):
        """The word under the cursor is to be completed by the next offer, or the one before it."""

        step: int

    def action_complete(self, step: int) -> None:
        self.post_message(self.Completing(step))


class AskBar(Horizontal):
    """One line: idle, a message, a question, or a prompt."""

    DEFAULT_CSS = """
    AskBar { height: 1; width: 1fr; }
    AskBar Input { display: none; width: 1fr; height: 1; border: none; padding: 0; background: $background; }
    AskBar Input:focus { border: none; }
    AskBar.-prompt Input { display: block; }
    AskBar #wrong { display: none; }
    AskBar.-beside #wrong { display: block; }
    """

    @dataclass
    class Changed(Message):
        """The text of an open prompt changed."""

        kind: str
        text: str

    @dataclass
    class Entered(Message):
        """A prompt was left with enter."""

        kind: str
        text: str

    @dataclass
    class Left(Message):
        """A prompt was left with escape."""

        kind: str

    @dataclass
    class Completing(Message):
        """The last word of an open prompt is to be completed: the next offer, or the one before it."""

        kind: str
        step: int

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="ask")
        self._desk = desk
        self._question = Question(desk)
        self._question.can_focus = False
        self._input = Prompt(select_on_focus=False)
        self._input.cursor_blink = False
        self._wrong = Line(desk, id="wrong")
        self._answer: asyncio.Future[bool] | None = None
        self._kind = ""
        self._expected: str | None = None
        self._said_until = 0
        self._said: Sequence[Part] = ()
        self._undoable = False
        self._idle: Sequence[Part] = ()

    def compose(self) -> ComposeResult:
        yield self._question
        yield self._input
        yield self._wrong

    def on_unmount(self) -> None:
        self._settle(False)

    @property
    def busy(self) -> bool:
        """A question or a prompt is open."""
        return self._answer is not None or bool(self._kind)

    def hint_parts(self) -> Sequence[Part]:
        """The keys that work while the bar is busy."""
        if not self._kind:
            return [("y", Role.KEY), (" yes  ", Role.MUTED), ("n esc", Role.KEY), (" no", Role.MUTED)]
        return [("enter", Role.KEY), (" take it  ", Role.MUTED), ("esc", Role.KEY), (" leave it", Role.MUTED)]

    def say(self, text: str, role: Role = Role.TEXT, *, undo: bool = False) -> None:
        """Say one line. It stays for some seconds, or until the next one. `undo`: and for how long `z` is named."""
        self._said_until = self._desk.clock() + _STAYS
        self._said, self._undoable = [(" ", Role.TEXT), (clean_line(text), role)], undo
        if not self.busy:
            self._show_said(self._desk.clock())

    def _show_said(self, now: int) -> None:
        seconds = max(0, -(-(self._said_until - now) // 1_000))
        right: list[Part] = [(" z", Role.KEY), (f" undo {seconds:>2}s ", Role.MUTED)] if self._undoable else []
        self._question.show(self._said, right)

    def idle(self, parts: Sequence[Part], now: int) -> None:
        """What the line shows while nothing else needs it."""
        self._idle = parts
        if not self.busy and now >= self._said_until:
            self._question.show([(" ", Role.TEXT), *parts])
        elif not self.busy and self._undoable:
            self._show_said(now)

    async def confirm(self, question: str) -> bool:
        """Ask; true for `y`, false for `n`, escape, or another question in between."""
        self._settle(False)
        self._answer = asyncio.get_running_loop().create_future()
        self._question.show(
            [(" ", Role.TEXT), (f" {clean_line(question)} ", Role.YOU), ("   ", Role.TEXT),
             ("y", Role.KEY), (" yes   ", Role.MUTED), ("n", Role.KEY), (" no", Role.MUTED)]
        )  # fmt: skip
        self._question.can_focus = True
        self.screen.set_focus(self._question)
        self.post_message(self.Opened())
        return await self._answer

    async def typed(self, question: str, expected: str) -> bool:
        """Ask for a word or a number to be typed; true only for exactly that."""
        self._settle(False)
        self._answer = asyncio.get_running_loop().create_future()
        self._expected = expected
        self._open("typed", f" {clean_line(question)} ", Role.YOU, "")
        return await self._answer

    def prompt(self, kind: str, sign: str, text: str = "") -> None:
        """Open a line to type in. `Changed`, then `Entered` or `Left`, tell of it under its kind."""
        self._settle(False)
        self._open(kind, sign, Role.KEY, text)

    def mark_wrong(self, why: str) -> None:
        """Say beside an open prompt what is wrong with its text."""
        if self._kind:
            self._beside([(clean_line(why), Role.FAILED)])

    def offer(self, words: Sequence[str]) -> None:
        """Say beside an open prompt what `tab` would make of its last word."""
        if self._kind and words:
            self._beside([("tab ", Role.KEY), ("  ".join(map(clean_line, words)), Role.MUTED)])
        else:
            self.mark_right()

    def _beside(self, parts: Sequence[Part]) -> None:
        self._wrong.show(parts)
        self._input.styles.width = len(self._input.value) + 3
        self.add_class("-beside")

    def put(self, text: str) -> None:
        """Put another text into an open prompt, as if it had been typed."""
        self._input.value = text
        self._input.cursor_position = len(text)

    @property
    def typed_text(self) -> str:
        """What stands in an open prompt."""
        return self._input.value

    def mark_right(self) -> None:
        """There is nothing more to be said of the text of an open prompt."""
        if self.has_class("-beside"):
            self.remove_class("-beside")
            self._input.styles.width = "1fr"

    def _open(self, kind: str, sign: str, role: Role, text: str) -> None:
        self._kind = kind
        self.add_class("-prompt")
        self._label(sign, role)
        with self._input.prevent(Input.Changed):
            self._input.value = text
        self._input.cursor_position = len(text)
        self.screen.set_focus(self._input)  # at once: the next key may be here already
        self.post_message(self.Opened())

    def _label(self, sign: str, role: Role) -> None:
        self._question.show([(" ", Role.TEXT), (sign, role), (" " if len(sign) > 1 else "", Role.TEXT)])
        self._question.styles.width = len(sign) + (2 if len(sign) > 1 else 1)

    def close(self) -> None:
        """Leave a question or a prompt as if with escape."""
        kind = self._kind
        waited = self._answer is not None
        self._settle(False)
        if kind and not waited:
            self.post_message(self.Left(kind))

    def _settle(self, answer: bool) -> None:
        pending, self._answer = self._answer, None
        self._kind, self._expected = "", None
        self.mark_right()
        if self.has_class("-prompt"):
            self.remove_class("-prompt")
            self._question.styles.width = "1fr"
        self._question.can_focus = False
        self._said_until = 0
        self._question.show([(" ", Role.TEXT), *self._idle])
        if pending is not None and not pending.done():
            pending.set_result(answer)
        self.post_message(self.Closed())

    @dataclass
    class Opened(Message):
        """A question or a prompt has the focus: the next keys are for it."""

    @dataclass
    class Closed(Message):
        """The bar needs the focus no longer."""

    @on(Question.Answered)
    def _answered(self, event: Question.Answered) -> None:
        event.stop()
        if self._answer is not None and not self._kind:
            self._settle(event.yes)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-beside"):
            self._input.styles.width = len(event.value) + 3
        if self._kind and self._kind != "typed":
            self.post_message(self.Changed(self._kind, event.value))

    @on(Prompt.Completing)
    def _completing(self, event: Prompt.Completing) -> None:
        event.stop()
        if self._kind and self._kind != "typed":
            self.post_message(self.Completing(self._kind, event.step))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        kind, text = self._kind, event.value
        if kind == "typed":
            self._settle(text.strip() == self._expected)
        elif kind:
            self._settle(False)
            self.post_message(self.Entered(kind, text))

    def on_key(self, event: Key) -> None:
        if self._kind and event.key == "escape":
            event.stop()
            event.prevent_default()
            self.close()
