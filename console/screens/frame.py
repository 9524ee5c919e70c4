"""What every screen has: status line, title line, a body, the ask-bar, the key hints; and how it meets the beat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.events import DescendantBlur, DescendantFocus, Resize, ScreenResume
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker

from console.actions import BY_ID, Action, Scope, in_scopes
from console.desk import Desk
from console.draw import width_of
from console.messages import Pulse, Resynced, StatusChanged
from console.roles import Ground, Part, Role
from console.sizes import LEAST
from console.widgets.ask_bar import AskBar
from console.widgets.chooser import Chooser
from console.widgets.line import Line
from console.widgets.status_line import StatusLine
from engine.errors import HeadwayError

if TYPE_CHECKING:
    from console.app import ConsoleApp

T = TypeVar("T")

#: Hints that stand at the right end of the line on every screen.
_ALWAYS = ("help", "quit")


class Frame(Screen[None], inherit_bindings=False):
    """A screen of the console."""

    BINDINGS: ClassVar[list[BindingType]] = []
    SCOPES: ClassVar[frozenset[Scope]] = frozenset()
    """The scopes whose actions this screen offers, beside those that work everywhere."""

    AUTO_FOCUS = ""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.status = StatusLine(desk)
        self.title_line = Line(desk, id="title")
        self.ask = AskBar(desk)
        self.hints = Line(desk, ground=Ground.BAR, id="hints")
        self.chooser = Chooser(desk)
        self._too_small = Line(desk, id="too-small")
        self._last_focus: Widget | None = None
        self._missed = False

    def compose(self) -> ComposeResult:
        self.shape(*self.app.size)  # before the first layout, which would be seen
        yield self.status
        yield self.title_line
        yield from self.body()
        yield self.chooser
        yield self.ask
        yield self.hints
        yield self._too_small

    def body(self) -> Iterable[Widget]:
        """The widgets between title line and ask-bar."""
        return ()

    def shape(self, width: int, height: int) -> None:
        """Choose how the body is laid out in a terminal of so many cells."""

    def home(self) -> Widget | None:
        """The widget that has the keys when nothing else asked for them."""
        return None

    def on_mount(self) -> None:
        self.set_focus(self.home())
        self.draw_frame(self.desk.clock())

    @property
    def in_sight(self) -> bool:
        """It is the screen that is shown, or one below it; what is not reads nothing, and catches up when it is."""
        return self in self.app.screen_stack

    def on_screen_resume(self, event: ScreenResume) -> None:
        self.draw_frame(self.desk.clock())
        missed, self._missed = self._missed, False
        if missed:
            self.reload()
        else:
            self.resume()

    def resume(self) -> None:
        """It is in sight again: read what changed meanwhile."""

    def on_resize(self, event: Resize) -> None:
        width, height = event.size
        self.shape(width, height)
        small = width < LEAST[0] or height < LEAST[1]
        self.set_class(small, "-small")
        text = f" needs {LEAST[0]}x{LEAST[1]}, has {width}x{height}; q detaches"
        self._too_small.show([(text, Role.TEXT)])
        self.draw_frame(self.desk.clock())

    def draw_frame(self, now: int) -> None:
        """Bring the lines around the body up to date; each writes only what changed."""
        self.status.refresh_words(now)
        self.title_line.show(*self.title_parts(now))
        self.ask.idle(self.idle_parts(now), now)
        self.hints.show(*self._hint_parts())

    def title_parts(self, now: int) -> tuple[Sequence[Part], Sequence[Part]]:
        """The title line: parts at the left end, parts at the right end."""
        return (), ()

    def idle_parts(self, now: int) -> Sequence[Part]:
        """What the ask-bar shows while it has nothing else to say."""
        return ()

    def live_scopes(self) -> frozenset[Scope]:
        """The scopes whose keys work at this moment."""
        return self.SCOPES | {Scope.EVERYWHERE}

    def _hint_parts(self) -> tuple[Sequence[Part], Sequence[Part]]:
        if self.ask.busy:
            return [(" ", Role.MUTED), *self.ask.hint_parts()], ()
        if self.chooser.busy:
            return [
                (" ", Role.MUTED),
                *(part for one in in_scopes([Scope.CHOOSE]) for part in self._hint(one, "  ")),
            ], ()
        right = [part for name in _ALWAYS for part in self._hint(BY_ID[name], "  ")]
        room = self.size.width - width_of(right) - 1
        left: list[Part] = [(" ", Role.MUTED)]
        shown: dict[str, Action] = {}
        for action in self.hinted():
            if not action.hint or action.id in _ALWAYS or action.hint in shown:
                continue
            parts = self._hint(action, "  ")
            if width_of([*left, *parts]) > room:
                break
            shown[action.hint] = action
            left += parts
        return left, right

    def hinted(self) -> Sequence[Action]:
        """The actions whose keys are told, the first ones first, as far as there is room."""
        return in_scopes(self.live_scopes())

    def _hint(self, action: Action, gap: str) -> list[Part]:
        keys = self.desk.keys.shown(action).split(" ")[0]
        return [(keys, Role.KEY), (f" {action.hint}{gap}", Role.MUTED)]

    def say(self, text: str, role: Role = Role.TEXT, *, undo: bool = False) -> None:
        """Say one line in the ask-bar; with `undo` also that `z` takes it back."""
        self.ask.say(text, role, undo=undo)

    def in_background(self, call: Callable[[], Coroutine[Any, Any, None]], group: str, *, alone: bool = True) -> None:
        """Do something that waits, without making the keys wait. Alone, it takes the place of its group's last one."""
        _worker: Worker[None] = self.run_worker(call, group=group, exclusive=alone)

    def work(self, call: Coroutine[Any, Any, None]) -> None:
        """Do something of a key that waits for the engine; the keys after it wait for its end, or its question."""
        _worker: Worker[None] = self.run_worker(self.in_turn(lambda: call), group="verb")

    def in_turn(self, call: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
        """The same call; the keys that come before its end wait for it."""
        turns = cast("ConsoleApp", self.app).turns
        turns.begin()
        return partial(turns.during, call)

    async def attempt(self, call: Awaitable[T]) -> T | None:
        """Wait for something of the engine; an error becomes one line in the ask-bar, and None."""
        try:
            return await call
        except HeadwayError as error:
            self.say(error.message, Role.FAILED)
            return None

    def action_nodes(self) -> Iterable[DOMNode]:
        """Where to look for the method of an action that was chosen from a list, best first."""
        focused = self.focused
        if focused is not None and not self._in_ask(focused):
            yield focused
        if self._last_focus is not None:
            yield self._last_focus
        home = self.home()
        if home is not None:
            yield home
        yield self
        yield self.app

    def on_pulse(self, event: Pulse) -> None:
        if event.second:
            self.draw_frame(event.now)
        self.beat(event)

    def beat(self, pulse: Pulse) -> None:
        """One beat, for the body."""

    def on_status_changed(self, event: StatusChanged) -> None:
        self.draw_frame(self.desk.clock())

    def on_resynced(self, event: Resynced) -> None:
        if not event.missed:
            self.reconnected()
        elif self.in_sight:
            self.reload()
        else:
            self._missed = True

    def reconnected(self) -> None:
        """Read again what could not be read while the engine was away; what happened meanwhile is told."""
        if self.in_sight:
            self.reload()
        else:
            self._missed = True

    def reload(self) -> None:
        """Read everything on screen again."""

    def restyle(self) -> None:
        """The ink changed: draw everything again."""
        for widget in self.query(Widget):
            widget.refresh()

    def _in_ask(self, widget: Widget) -> bool:
        return self.ask in widget.ancestors_with_self or widget is self.chooser

    def on_chooser_left(self, event: Chooser.Left) -> None:
        self._give_back_keys()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if not self._in_ask(event.widget):
            self._last_focus = event.widget
        self.hints.show(*self._hint_parts())

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        self.hints.show(*self._hint_parts())

    def on_ask_bar_closed(self, event: AskBar.Closed) -> None:
        if not self.ask.busy:
            self._give_back_keys()

    def _give_back_keys(self) -> None:
        """The keys are for where they were before a question, a prompt or a choice."""
        last = self._last_focus
        usable = last is not None and last.is_attached and last.display
        self.set_focus(last if usable else self.home())
        self.draw_frame(self.desk.clock())
