"""The palette: every action, every theme, every job by its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from console.actions import Action, Scope, in_scopes
from console.commands import read_job
from console.format import job_name
from console.tabs import Tab
from engine.errors import UsageError

if TYPE_CHECKING:
    from console.app import ConsoleApp


class Everything(Provider):
    """What the palette offers on the screen that it was opened on."""

    @property
    def _console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def _offers(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        app = self._console
        scopes = app.frame.live_scopes() if app.frame else {Scope.EVERYWHERE}
        for action in in_scopes(scopes):
            if action.id == "palette" or (action.argument and not action.keys):
                continue
            keys = app.desk.keys.shown(action)
            yield action.title, keys or f":{action.command}", self._doing(action)
        for name in app.desk.themes:
            yield f"theme {name}", f":theme {name}", partial(app.action_set_theme, name)

    def _doing(self, action: Action) -> Callable[[], object]:
        return partial(self._console.perform, action)

    async def discover(self) -> Hits:
        for title, keys, do in self._offers():
            yield DiscoveryHit(title, do, help=keys)

    async def search(self, query: str) -> Hits:
        try:
            job = read_job(query)
        except UsageError:
            pass
        else:
            yield Hit(1.0, f"job {job_name(job)}", lambda: self._console.open_job(job, Tab.LOG), help=f":job {job}")
        matcher = self.matcher(query)
        for title, keys, do in self._offers():
            if (score := matcher.match(title)) > 0:
                yield Hit(score, matcher.highlight(title), do, help=keys)
