"""The Textual app: a switchboard between the feed, the screens and the table of actions. Screens do the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import RenderableType
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import InvalidThemeError
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.events import Event, Key
from textual.message import Message
from textual.screen import Screen
from textual.worker import Worker

from console.actions import Action, Scope, bindings
from console.beat import Beat
from console.bell import ring, words
from console.commands import read_command, read_job
from console.desk import Desk
from console.feed import Feed
from console.format import clean_line
from console.keys import moved_keys
from console.messages import JobsChanged, Rings, StatusChanged
from console.paint import Painted, Painter
from console.palette import Everything
from console.roles import Role
from console.said import result_line, undone_line
from console.screens.places import ABOUT_JOB, FIRST, read_ahead
from console.screens.switching import Switching
from console.sheet import Sheet
from console.svg import save
from console.tabs import Tab
from console.theme import DEFAULT, Ink, find_themes, textual_theme
from console.trail import Trail
from console.turns import Turns
from console.widgets.ask_bar import AskBar
from engine.errors import HeadwayError, UsageError
from engine.model import ALL, Verb
from engine.paths import expanded

if TYPE_CHECKING:
    from console.screens.help import HelpScreen


class ConsoleApp(Switching, inherit_bindings=False):
    """Headway's console. Leaving it never stops work."""

    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.EVERYWHERE)
    COMMANDS = {Everything}  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "f24"
    TITLE = "headway"

    def __init__(
        self, desk: Desk, *, first: str = FIRST, fixed_theme: str | None = None, stock_painter: bool = False
    ) -> None:
        super().__init__(desk, first)
        self.beat = Beat(desk.link)
        self.feed = Feed(desk, self.tell)
        self._fixed_theme = fixed_theme
        self._configured = False
        self._terminal_title = ""
        self._painter = Painter()
        self._ahead = read_ahead()
        self._stock = stock_painter
        self.turns = Turns(
            partial(self.call_later, self._press), lambda: self.frame is not None and self.frame.ask.busy
        )
        self.animation_level = "none"
        self._theme_problems = self._find_themes()
        self._wear(fixed_theme or DEFAULT)
        self.stylesheet = Sheet(variables=self.get_css_variables())

    async def on_event(self, event: Event) -> None:
        """Keys come one by one, each once the one before it has had its effect."""
        if not isinstance(event, Key) or event.is_forwarded:
            await super().on_event(event)
        elif self.turns.take(event):
            await self._press(event)

    async def _press(self, key: Key) -> None:
        target = self.focused or self.screen
        await super().on_event(key)
        Trail(target.ancestors_with_self, self.turns.passed)()

    def on_ask_bar_opened(self, event: AskBar.Opened) -> None:
        self.turns.go_on()

    def on_mount(self) -> None:
        self.app_suspend_signal.subscribe(self, lambda _: self._painter.forget())
        self.app_resume_signal.subscribe(self, lambda _: self._draw_again())
        self.set_interval(self.beat.interval, self._beat)
        self._follow()

    def _follow(self) -> None:
        """Start the one subscription, in place of an earlier one."""
        _worker: Worker[None] = self.run_worker(self.feed.run, group="feed", exclusive=True)

    def _draw_again(self) -> None:
        """The terminal holds something else now. A SIGTSTP from outside tells of its end only."""
        self._painter.forget()
        self.refresh(layout=True)

    async def _beat(self) -> None:
        now = self.desk.clock()
        next(self._ahead, None)
        self.feed.flush()
        await self.feed.refresh(now)
        frame = self.frame
        if frame is not None and frame.is_mounted and not isinstance(self.screen, CommandPalette):
            frame.post_message(self.beat.pulse(now))

    def tell(self, message: Message) -> None:
        """Hand a message of the feed to every screen, also to those that are covered or elsewhere."""
        if isinstance(message, StatusChanged):
            self._configure()
            self._set_terminal_title()
        if isinstance(message, Rings):
            said = words(message.told)
            self.say(said, Role.YOU)
            if self._driver is not None:
                self._driver.write(ring(said, os.environ.get("TERM", "")))
            return
        for frame in self.frames:
            frame.post_message(message)

    def _configure(self) -> None:
        """Take theme and keys from the engine's settings, once; what is wrong in them is said, not fatal."""
        status = self.desk.status
        if status is None or self._configured:
            return
        self._configured = True
        if self._theme_problems:
            self.say(self._theme_problems[0], Role.FAILED)
        try:
            self.desk.keys = moved_keys(status.keys, status.keymap)
            self.set_keymap(self.desk.keys.for_textual())
            if status.theme and self._fixed_theme is None:
                self._wear(status.theme)
        except UsageError as error:
            self.say(error.message, Role.FAILED)

    def refresh_css(self, animate: bool = True) -> None:
        """Before there is a screen there is nothing to style; the first one styles itself when it is made."""
        if any(self._screen_stacks.values()):
            super().refresh_css(animate)

    def _find_themes(self) -> list[str]:
        """Take the themes that there are now; what is wrong in the operator's own."""
        self.desk.themes, problems = find_themes(self.desk.theme_places)
        for theme in self.desk.themes.values():
            self.register_theme(textual_theme(theme))
        return problems

    def _wear(self, name: str) -> None:
        problems = self._find_themes() if self.is_running else []  # a file may have been dropped, or mended
        themes = self.desk.themes
        if name not in themes:
            wrong = next((line for line in problems if f" {name}.yaml" in line), None)
            raise UsageError(wrong or f"there is no theme {name!r}; there are {', '.join(themes)}")
        self.desk.ink = Ink(themes[name])
        try:
            self.theme = name
        except InvalidThemeError as error:
            raise UsageError(str(error)) from None
        for frame in self.frames if self.is_running else ():
            frame.restyle()

    def _set_terminal_title(self) -> None:
        status = self.desk.status
        failed = status.counts.failed if status else 0
        signs = [f"!{status.cards}"] if status and status.cards else []
        signs += [f"{'x' if self.desk.ascii else '✗'}{failed}"] if failed else []
        if self.desk.offline_since is not None:
            signs = ["!"]
        wanted = clean_line(" ".join([*signs, f"headway@{self.desk.host}"]))
        if wanted != self._terminal_title and self._driver is not None:
            self._terminal_title = wanted
            self._driver.write(f"\x1b]2;{wanted}\x07")

    def say(self, text: str, role: Role = Role.TEXT) -> None:
        if self.frame is not None:
            self.frame.say(text, role)

    def perform(self, action: Action, argument: str = "") -> None:
        """Do an action that was chosen by name: on the first place in sight that knows it."""
        frame = self.frame
        nodes = [*frame.action_nodes()] if frame is not None else [self]
        for node in nodes:
            method: Callable[..., object] | None = getattr(node, action.method, None)
            if method is not None:
                self.work(self._run(action.doing(argument), node))
                return
        self.say(f":{action.command} does nothing on this screen", Role.WAIT)

    async def _run(self, call: str, node: DOMNode) -> None:
        await self.run_action(call, default_namespace=node)

    def on_help_screen_chosen(self, event: HelpScreen.Chosen) -> None:
        self.pop_screen()
        self.call_later(self.perform, event.action)

    def on_ask_bar_entered(self, event: AskBar.Entered) -> None:
        if event.kind != "command" or not event.text.strip():
            return
        try:
            action, argument = read_command(event.text)
        except UsageError as error:
            self.say(error.message, Role.FAILED)
        else:
            self.perform(action, argument)

    def open_job(self, job: int, tab: Tab) -> None:
        """Show a job on top of what is there."""
        self.work(self._open_job(job, tab))

    async def _open_job(self, job: int, tab: Tab) -> None:
        from console.screens.help import HelpScreen
        from console.screens.job import JobScreen

        frame = self.frame
        if frame is None or await frame.attempt(self.desk.client.job(job)) is None:
            return
        if isinstance(self.screen, JobScreen | HelpScreen):
            await self.pop_screen()
        await self.push_screen(JobScreen(self.desk, job, tab))

    def work(self, call: Coroutine[Any, Any, None]) -> None:
        """Do something that waits for the engine, without making the keys wait."""
        self.turns.begin()
        self.run_worker(self.turns.during(lambda: call), group="action")

    def action_help(self) -> None:
        from console.screens.help import HelpScreen
        from console.screens.job import JobScreen

        frame = self.frame
        if frame is not None and not isinstance(frame, HelpScreen):
            on_job = isinstance(frame, JobScreen)
            about = ABOUT_JOB if on_job else self.place.about
            self.push_screen(HelpScreen(self.desk, "job" if on_job else self.place.name, about, frame.live_scopes()))

    def action_command(self) -> None:
        if self.frame is not None:
            self.frame.ask.prompt("command", ":")

    async def action_inbox(self) -> None:
        """Go to the card of the job that is open, or to the one that waits longest."""
        from console.screens.job import JobScreen

        frame = self.frame
        await self._to_card(frame.job if isinstance(frame, JobScreen) else None)

    def open_card(self, job: int) -> None:
        """Go to the inbox, to the card of a job."""
        self.work(self._to_card(job))

    async def _to_card(self, job: int | None) -> None:
        from console.screens.inbox import InboxScreen

        inbox = await self.go("inbox")
        if isinstance(inbox, InboxScreen):
            inbox.aim(job)

    def action_palette(self) -> None:
        self.action_command_palette()

    def action_resync(self) -> None:
        self.feed = Feed(self.desk, self.tell)
        self._follow()
        self._draw_again()
        self.say("reading everything again")

    def action_interrupt(self) -> None:
        self.say("press q to detach; the work goes on")

    def action_suspend(self) -> None:
        self.action_suspend_process()

    async def action_quit(self) -> None:
        self.exit()

    def action_open_job(self, text: str = "") -> None:
        try:
            self.open_job(read_job(text), Tab.LOG)
        except UsageError as error:
            self.say(error.message, Role.FAILED)

    def action_set_theme(self, name: str = "") -> None:
        try:
            self._wear(name)
        except UsageError as error:
            self.say(error.message, Role.FAILED)

    def action_export(self, name: str = "") -> None:
        path = expanded(name)
        if not name:
            self.say("into which file? :export screen.svg")
            return
        try:
            save(self, path, f"headway@{self.desk.host}")
        except HeadwayError as error:
            self.say(error.message, Role.FAILED)
        else:
            self.say(f"this screen is in {path}")

    def action_hold_all(self) -> None:
        self.work(self._everything(Verb.HOLD))

    def action_release_all(self) -> None:
        self.work(self._everything(Verb.RELEASE))

    async def _everything(self, verb: Verb) -> None:
        try:
            self.desk.require_engine()
            result = await self.desk.client.act(verb, everything=True)
            self.desk.status = await self.desk.client.status()
        except HeadwayError as error:
            self.say(error.message, Role.FAILED)
        else:
            self.say(result_line(result, scope=ALL))
            self.tell(StatusChanged())

    def action_undo(self) -> None:
        self.work(self._undo())

    async def _undo(self) -> None:
        try:
            self.desk.require_engine()
            undone = await self.desk.client.undo()
            self.desk.status = await self.desk.client.status()
        except HeadwayError as error:
            self.say(error.message, Role.FAILED)
        else:
            self.say(undone_line(undone), Role.WAIT if undone.lost else Role.TEXT)
            self.tell(StatusChanged())
            self.tell(JobsChanged(frozenset(undone.restored), True, 0))

    def action_shutdown(self) -> None:
        self.work(self._stop_engine())

    async def _stop_engine(self) -> None:
        frame = self.frame
        if frame is None:
            return
        if not await frame.ask.typed("drain and stop the engine? type shutdown, then enter:", "shutdown"):
            self.say("the engine goes on")
            return
        try:
            self.desk.require_engine()
            await self.desk.client.shutdown(drain=True)
        except HeadwayError as error:
            self.say(error.message, Role.FAILED)
        else:
            self.say("the engine drains: what runs may finish, nothing new starts")

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Write what changed of an update, instead of all of it; nothing at all where nothing did."""
        writes = (
            not self._stock and self._running and not self._closed and not self.is_headless and not self._batch_count
        )
        if writes and isinstance(renderable, LayoutUpdate | ChopsUpdate):
            cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
            text = self._painter.paint(renderable, self.console, (self.size.width, self.size.height))
            moved = cursor != self._previous_cursor_position
            painted = Painted(text) if text or moved else None
            super()._display(screen, cast("RenderableType | None", painted))
        else:
            super()._display(screen, renderable)

    def _fatal_error(self) -> None:
        """One line in place of Textual's traceback, which goes to a file for a report."""
        import tempfile
        import traceback

        with tempfile.NamedTemporaryFile("w", prefix="headway-console-", suffix=".log", delete=False) as file:
            traceback.print_exc(file=file)
        self._exit_renderables.append(
            f"headway: the console met an error of its own and closed; the engine goes on. Details: {Path(file.name)}"
        )
        self._close_messages_no_wait()
