"""The order of a list and its saved views: chosen, turned around, kept under a name."""

from __future__ import annotations

from difflib import get_close_matches

from console.desk import Desk
from console.roles import Role
from console.screens.filtering import Filtering
from console.views import View, Views, views_file
from console.widgets.chooser import Choice
from engine.errors import HeadwayError, UsageError
from engine.model.listing import Sort, SortKey

_TOLD = {
    SortKey.QUEUE: "what runs, what waits in its order, what ended last",
    SortKey.ID: "the newest first",
    SortKey.PRIORITY: "the most urgent first",
    SortKey.STATE: "what needs you first",
    SortKey.AGE: "what has stood, run or waited longest first",
    SortKey.COST: "the dearest first",
    SortKey.TOKENS: "the most first",
    SortKey.ATTEMPTS: "the most first",
    SortKey.TITLE: "by the alphabet",
    SortKey.AGENT: "agent, model, account",
    SortKey.PROJECT: "by the alphabet",
}


class Arranging(Filtering):
    """A list that can be sorted by any column, in the store, and shown as a view that was saved."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.sort = Sort()
        self.views = Views(views_file())

    @property
    def view(self) -> str:
        """The name of the view that is shown; empty where it is none."""
        shown = View(self.filter, "" if self.sort == Sort() else str(self.sort))
        return next((name for name in self.views.names if name != "all" and self.views.get(name) == shown), "")

    def sort_by(self, sort: Sort) -> None:
        """Read the list in another order; the cursor goes to its top."""
        self.sort = sort
        self.try_filter(self.filter, entered=True)

    def action_sort(self, column: str = "") -> None:
        if not column:
            choices = [Choice(key.value, (key.value, _TOLD[key])) for key in SortKey]
            self.chooser.open("sort", "by", ("COLUMN", ""), choices, self.sort.key.value)
            return
        try:
            self.sort_by(Sort.parse(column))
        except ValueError:
            near = get_close_matches(column.removeprefix("-"), [*SortKey], 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(SortKey)}"
            self.say(f"no column {column!r}{hint}", Role.FAILED)

    def action_reverse_sort(self) -> None:
        if self.sort.key is SortKey.QUEUE:
            self.say("the queue has one order; s sorts by a column, and S turns that around")
        else:
            self.sort_by(Sort(self.sort.key, not self.sort.reverse))

    def action_view(self, name: str = "") -> None:
        if name:
            self._show_view(name)
            return
        views = ((name, self.views.get(name)) for name in self.views.names)
        rows = [Choice(name, (name, view.filter or "every job", view.sort or "queue")) for name, view in views]
        self.chooser.open("view", "view", ("NAME", "FILTER", "SORT"), rows, self.view or "all")

    def _show_view(self, name: str) -> None:
        try:
            view = self.views.get(name)
            self.sort = Sort.parse(view.sort)
        except ValueError:
            self.say(f"view {name}: it sorts by {view.sort!r}, which is no column", Role.FAILED)
        except UsageError as error:
            self.say(error.message, Role.FAILED)
        else:
            self.try_filter(view.filter, entered=True)

    def chosen(self, kind: str, value: str) -> None:
        if kind == "sort":
            self.sort_by(Sort(SortKey(value)))
        elif kind == "view":
            self._show_view(value)

    def action_save_view(self, name: str = "") -> None:
        sort = "" if self.sort == Sort() else str(self.sort)
        self._keep(name, "save", lambda: self.views.save(name, View(self.filter, sort)))

    def action_drop_view(self, name: str = "") -> None:
        self._keep(name, "drop", lambda: self.views.drop(name))

    def _keep(self, name: str, verb: str, do: object) -> None:
        if not name:
            self.say(f"under which name? :{verb} view mine")
            return
        assert callable(do)
        try:
            do()
        except HeadwayError as error:
            self.say(error.message, Role.FAILED)
        else:
            self.say(f"saved the view {name}: :view {name}" if verb == "save" else f"dropped the view {name}")
            self.views_changed()

    def views_changed(self) -> None:
        """A view was saved or dropped."""
