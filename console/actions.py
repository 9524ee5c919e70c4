"""The one table of what an operator can do: bindings, key hints, help, palette and `:` commands are drawn from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding, BindingType


class Scope(StrEnum):
    """Where an action's keys work. The value is the heading in the help."""

    EVERYWHERE = "everywhere"
    LIST = "lists"
    TEXT = "logs and texts"
    JOBS = "on jobs"
    TABLE = "tables"
    SORTED = "tables that can be sorted"
    MARKS = "tables with marks"
    QUEUE = "queue"
    OVERVIEW = "overview"
    WORKERS = "workers"
    READING = "reading"
    JOB = "job"
    INBOX = "inbox"
    SPEND = "spend"
    SCHEDULES = "schedules"
    MEMORY = "memory"
    SKILLS = "skills"
    ROUTES = "routing"
    EVENTS = "events"
    LIMITS = "limits"
    HEALTH = "health"
    MERGES = "merges & pipelines"
    HELP = "help"
    CHOOSE = "while there is something to choose"
    ASK = "while a question is open"


#: Scopes whose keys are live at the same time: a key may stand in only one action of each group.
TOGETHER = (
    frozenset({Scope.EVERYWHERE, Scope.LIST, Scope.TABLE, Scope.SORTED, Scope.MARKS, Scope.JOBS, Scope.QUEUE}),
    frozenset({Scope.EVERYWHERE, Scope.TEXT, Scope.TABLE, Scope.SORTED, Scope.MARKS, Scope.JOBS, Scope.QUEUE}),
    frozenset({Scope.EVERYWHERE, Scope.LIST, Scope.OVERVIEW}),
    frozenset({Scope.EVERYWHERE, Scope.LIST, Scope.JOBS, Scope.WORKERS}),
    frozenset({Scope.EVERYWHERE, Scope.TEXT, Scope.READING, Scope.JOBS, Scope.WORKERS}),
    frozenset({Scope.EVERYWHERE, Scope.TEXT, Scope.READING, Scope.JOBS, Scope.JOB}),
    frozenset({Scope.EVERYWHERE, Scope.LIST, Scope.READING, Scope.JOBS, Scope.JOB}),
    frozenset({Scope.EVERYWHERE, Scope.LIST, Scope.INBOX}),
    frozenset({Scope.EVERYWHERE, Scope.TEXT, Scope.INBOX}),
    frozenset({Scope.EVERYWHERE, Scope.LIST, Scope.HELP}),
    frozenset({Scope.LIST, Scope.CHOOSE}),
    frozenset({Scope.ASK}),
    *(
        frozenset({Scope.EVERYWHERE, part, Scope.TABLE, Scope.SORTED, own})
        for own in (
            Scope.SPEND,
            Scope.SCHEDULES,
            Scope.SKILLS,
            Scope.ROUTES,
            Scope.EVENTS,
            Scope.LIMITS,
            Scope.HEALTH,
            Scope.MERGES,
        )
        for part in (Scope.LIST, Scope.TEXT)
    ),
    *(
        frozenset({Scope.EVERYWHERE, part, Scope.TABLE, Scope.SORTED, Scope.MARKS, Scope.MEMORY})
        for part in (Scope.LIST, Scope.TEXT)
    ),
)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. It is carried out by the method `action_<id>` of the widget, screen or app in its scope."""

    id: str
    title: str
    scope: Scope
    keys: tuple[str, ...] = ()
    hint: str = ""
    """The word in the line of key hints; actions without one are in the help only."""
    danger: bool = False
    """Cannot be taken back: asks first."""
    command: str = ""
    """What to type after `:`."""
    argument: str = ""
    """What the command takes after its words, in capitals."""
    call: str = ""
    """What carries it out, where that is not `action_<id>`: `go('limits')` is `action_go`."""

    @property
    def method(self) -> str:
        """The name of the method that carries it out."""
        return f"action_{self.call.partition('(')[0] or self.id}"

    def doing(self, argument: str = "") -> str:
        """It, as Textual's action string."""
        return self.call or (f"{self.id}({argument!r})" if argument else self.id)


def _place(name: str, key: str) -> Action:
    """The way to a screen: its number or letter, and `:name`."""
    return Action(f"go_{name}", f"to the screen: {name}", Scope.EVERYWHERE, (key,), command=name, call=f"go({name!r})")


ACTIONS: tuple[Action, ...] = (
    Action("open", "open what is under the cursor", Scope.TABLE, ("enter",), "open", command="open"),
    Action("hold", "hold, or release what is held", Scope.JOBS, ("p",), "hold", command="hold"),
    Action("retry", "retry", Scope.JOBS, ("r",), "retry", command="retry"),
    Action("cancel", "cancel", Scope.JOBS, ("x",), "cancel", danger=True, command="cancel"),
    Action("raise", "more urgent by one", Scope.JOBS, ("+",), command="raise"),
    Action("lower", "less urgent by one", Scope.JOBS, ("-",), command="lower"),
    Action("reroute", "run it on another target", Scope.JOBS, ("R",), "reroute", command="reroute", argument="TARGET"),
    Action("snooze", "let it wait until a time", Scope.JOBS, ("Z",), command="snooze", argument="WHEN"),
    Action("move", "move it in the queue", Scope.JOBS, command="move", argument="PLACE"),
    Action("merge", "queue its work for its branch", Scope.JOBS, command="merge"),
    Action("explain", "why it stands where it stands", Scope.JOBS, ("W",), command="explain"),
    Action("attach", "work in its session yourself", Scope.JOBS, ("a",), command="attach"),
    Action("copy", "copy the job's id", Scope.JOBS, ("y",), command="copy"),
    Action("edit", "open the workspace in $EDITOR", Scope.JOBS, ("o",), command="edit"),
    Action("show_log", "open at the log", Scope.JOBS, ("l",), command="log"),
    Action("show_diff", "open at the diff", Scope.JOBS, ("d",), command="diff"),
    Action("show_gate", "open at the gate: checks, reviews", Scope.JOBS, ("c",), command="gate"),
    Action("show_timeline", "open at the timeline", Scope.JOBS, ("t",), command="timeline"),
    Action("show_events", "open at the events", Scope.JOBS, ("e",), command="job events"),
    Action("show_spec", "open at the prompt and context", Scope.JOBS, command="prompt"),
    Action("show_attempts", "open at the attempts", Scope.JOBS, command="attempts"),
    Action("show_cost", "open at the cost", Scope.JOBS, command="cost"),
    Action("filter", "filter this list", Scope.TABLE, ("/",), "filter", command="filter", argument="TEXT"),
    Action("sort", "sort by a column", Scope.SORTED, ("s",), "sort", command="sort", argument="COLUMN"),
    Action("reverse_sort", "sort the other way round", Scope.SORTED, ("S",), command="reverse"),
    Action("mark", "mark, and step down", Scope.MARKS, ("space",), "mark", command="mark"),
    Action("range", "mark from here; again: to here", Scope.MARKS, ("v",), command="range"),
    Action("mark_all", "mark all that match", Scope.MARKS, ("*",), command="mark all"),
    Action("clear_marks", "clear the marks", Scope.MARKS, ("\\",), command="clear marks"),
    Action("invert_marks", "mark what is not, unmark what is", Scope.MARKS, ("I",), command="invert marks"),
    Action("view", "a saved view", Scope.QUEUE, ("V",), "views", command="view", argument="NAME"),
    Action("save_view", "save filter and order", Scope.QUEUE, command="save view", argument="NAME"),
    Action("drop_view", "forget a saved view", Scope.QUEUE, command="drop view", argument="NAME"),
    Action("apply_order", "apply the new order", Scope.QUEUE, (".",), command="apply"),
    Action("next_failed", "go to the next that failed or asks", Scope.QUEUE, ("n",), command="next failed"),
    Action("preview", "the preview: beside, below, none", Scope.QUEUE, ("w",), command="preview"),
    Action("next_pane", "go to the next pane", Scope.TABLE, ("tab",), "pane", command="pane"),
    Action("previous_pane", "go to the previous pane", Scope.TABLE, ("shift+tab",)),
    Action("zoom", "zoom this pane, again to return", Scope.TABLE, ("f",), "zoom", command="zoom"),
    Action("clear", "close, clear filter, clear marks, back", Scope.TABLE, ("escape",)),
    Action("open_line", "open the job, or its card", Scope.OVERVIEW, ("enter",), "open", command="open line"),
    Action("in_time", "what is to come, drawn in time", Scope.OVERVIEW, ("w",), "in time", command="gantt"),
    Action("leave_time", "back from the drawing", Scope.OVERVIEW, ("escape",)),
    Action("open_worker", "open its job", Scope.WORKERS, ("enter",), "open", command="open worker"),
    Action("next_worker", "to the next worker", Scope.WORKERS, ("tab",), "next"),
    Action("previous_worker", "to the worker before", Scope.WORKERS, ("shift+tab",)),
    Action("zoom_worker", "zoom this worker, again to return", Scope.WORKERS, ("f",), "zoom", command="zoom worker"),
    Action("worker_list", "panes, or a list", Scope.WORKERS, ("w",), "list", command="worker list"),
    Action("layout", "1, 2, 4, 8 panes, or all", Scope.WORKERS, ("v",), "layout", command="layout", argument="PANES"),
    Action("leave_worker", "end the zoom, or the search", Scope.WORKERS, ("escape",)),
    Action("search", "search the text", Scope.READING, ("/",), "search", command="search", argument="TEXT"),
    Action("next_match", "the next match", Scope.READING, ("n",)),
    Action("previous_match", "the match before", Scope.READING, ("N",)),
    Action("copy_text", "copy what is in sight", Scope.READING, ("Y",), command="copy text"),
    Action("page_text", "open the text in $PAGER", Scope.READING, ("P",), command="pager"),
    Action("edit_text", "open the text in $EDITOR", Scope.READING, ("O",), command="editor"),
    Action("unfold", "unfold the step, or fold it", Scope.JOB, ("enter",), "unfold", command="unfold"),
    Action("next_side", "to the other side", Scope.JOB, ("tab",), command="side"),
    Action("previous_tab", "previous tab", Scope.JOB, ("[",), "tab"),
    Action("next_tab", "next tab", Scope.JOB, ("]",), "tab"),
    Action("back", "back to the row", Scope.JOB, ("escape",), "back", command="back"),
    Action("allow_card", "allow it once", Scope.INBOX, ("a",), "allow", command="allow"),
    Action("allow_job", "allow the tool for this job", Scope.INBOX, ("c",), "for the job", command="allow job"),
    Action("allow_always", "allow it by a rule, from now on", Scope.INBOX, ("A",), "always", command="allow always"),
    Action("deny_card", "deny it, with a reason", Scope.INBOX, ("x",), "deny", command="deny"),
    Action("deny_always", "deny it by a rule, from now on", Scope.INBOX, ("X",), "never", command="deny always"),
    Action("answer_card", "answer a question; read a card", Scope.INBOX, ("enter",), "answer", command="answer"),
    Action("snooze_card", "put it aside until later", Scope.INBOX, ("s",), command="snooze card"),
    Action("card_job", "open its job", Scope.INBOX, ("l",), "job", command="card job"),
    Action("next_card_part", "to the card's text, and back", Scope.INBOX, ("tab",)),
    Action("leave_inbox", "back", Scope.INBOX, ("escape",), "back"),
    Action("try_limit", "wait for it no longer: try now", Scope.LIMITS, ("t",), "try now", command="try"),
    Action("hold_account", "hold its account", Scope.LIMITS, ("h",), "hold", command="hold account"),
    Action("release_account", "release its account", Scope.LIMITS, ("u",), "release", command="release account"),
    Action("longer", "over a longer time", Scope.SPEND, ("]",), "today, week, month", command="longer"),
    Action("shorter", "over a shorter time", Scope.SPEND, ("[",), command="shorter"),
    Action("group", "put together by the next", Scope.SPEND, ("b",), "by", command="by", argument="WHAT"),
    Action(
        "allow_budget",
        "allow more than a budget says",
        Scope.SPEND,
        ("a",),
        "allow",
        command="allow more",
        argument="SCOPE AMOUNT",
    ),
    Action("read_spend", "budgets, tax and what is ahead", Scope.SPEND, ("t",), "tax", command="tax"),
    Action("run_schedule", "run it now, beside its times", Scope.SCHEDULES, ("r",), "run", command="run"),
    Action("pause_schedule", "pause, or resume what is paused", Scope.SCHEDULES, ("p",), "pause", command="pause"),
    Action("edit_schedule", "edit it in $EDITOR", Scope.SCHEDULES, ("e",), "edit", command="edit schedule"),
    Action(
        "add_schedule", "add one, in $EDITOR", Scope.SCHEDULES, ("a",), "add", command="add schedule", argument="NAME"
    ),
    Action(
        "remove_schedule",
        "remove it (asks); undo brings it back",
        Scope.SCHEDULES,
        ("x",),
        "remove",
        command="remove schedule",
    ),
    Action("schedule_job", "open the job of its last time", Scope.SCHEDULES, ("l",), "job", command="last job"),
    Action(
        "recall",
        "look for what fits words, with why",
        Scope.MEMORY,
        ("r",),
        "recall",
        command="recall",
        argument="WORDS",
    ),
    Action("edit_memory", "edit it in $EDITOR", Scope.MEMORY, ("e",), "edit", command="edit memory"),
    Action("pin", "pin, or unpin what is pinned", Scope.MEMORY, ("P",), "pin", command="pin"),
    Action("accept", "accept what is proposed", Scope.MEMORY, ("a",), "accept", command="accept"),
    Action("reject", "reject what is proposed", Scope.MEMORY, ("X",), "reject", command="reject"),
    Action("forget", "forget it for good (asks)", Scope.MEMORY, ("x",), "forget", danger=True, command="forget"),
    Action("uses", "where it was told", Scope.MEMORY, ("u",), "uses", command="uses"),
    Action(
        "read_core", "read the core file of its scope", Scope.MEMORY, ("c",), "core", command="core", argument="SCOPE"
    ),
    Action("edit_core", "edit the core file of its scope", Scope.MEMORY, ("E",), command="edit core", argument="SCOPE"),
    Action("read_skill", "read its text", Scope.SKILLS, ("r",), "read", command="read skill"),
    Action("skill_history", "who was given it, and how that ended", Scope.SKILLS, ("h",), "history", command="history"),
    Action(
        "skills_of", "with those of a project", Scope.SKILLS, ("p",), "project", command="skills of", argument="PROJECT"
    ),
    Action(
        "dry_run", "where a job or a prompt would go", Scope.ROUTES, ("t",), "try on", command="dry run", argument="JOB"
    ),
    Action(
        "scoreboard", "how targets do at each kind of job", Scope.ROUTES, ("b",), "scoreboard", command="scoreboard"
    ),
    Action("pick_winner", "say who won a race", Scope.ROUTES, ("w",), "pick", command="pick", argument="JOB"),
    Action("event_job", "open its job", Scope.EVENTS, ("l",), "job", command="event job"),
    Action("narrow_job", "only its job; again: all", Scope.EVENTS, ("o",), "only its job", command="only job"),
    Action("check_again", "look again", Scope.HEALTH, ("r",), "again", command="check"),
    Action("doctor", "headway doctor, in this terminal", Scope.HEALTH, ("d",), "doctor", command="doctor"),
    Action("take_out", "drop the merge; cancel the pipeline", Scope.MERGES, ("x",), "drop", command="drop"),
    Action("hold_pipeline", "hold the pipeline, or release it", Scope.MERGES, ("p",), "hold", command="hold pipeline"),
    Action("retry_pipeline", "try the failed pipeline again", Scope.MERGES, ("r",), "retry", command="retry pipeline"),
    Action("underway_job", "open its job", Scope.MERGES, ("l",), "job", command="its job"),
    Action("underway_card", "open its card", Scope.MERGES, ("c",), "card", command="its card"),
    Action("run", "do the action", Scope.HELP, ("enter",), "do it"),
    Action("close_help", "close the help", Scope.HELP, ("escape",), "close"),
    Action("down", "down", Scope.LIST, ("j", "down")),
    Action("up", "up", Scope.LIST, ("k", "up")),
    Action("half_down", "half a page down", Scope.LIST, ("ctrl+d",)),
    Action("half_up", "half a page up", Scope.LIST, ("ctrl+u",)),
    Action("page_down", "a page down", Scope.LIST, ("pagedown",)),
    Action("page_up", "a page up", Scope.LIST, ("pageup",)),
    Action("first", "to the top, where the list is live", Scope.LIST, ("g", "home")),
    Action("last", "to the end", Scope.LIST, ("G", "end")),
    Action("scroll_text_down", "scroll down", Scope.TEXT, ("j", "down")),
    Action("scroll_text_up", "scroll up, and stop following", Scope.TEXT, ("k", "up")),
    Action("half_text_down", "half a page down", Scope.TEXT, ("ctrl+d",)),
    Action("half_text_up", "half a page up", Scope.TEXT, ("ctrl+u",)),
    Action("page_text_down", "a page down", Scope.TEXT, ("pagedown",)),
    Action("page_text_up", "a page up", Scope.TEXT, ("pageup",)),
    Action("text_start", "to the beginning", Scope.TEXT, ("g", "home")),
    Action("text_end", "to the end, and follow", Scope.TEXT, ("G", "end"), "follow"),
    Action("help", "the keys that work here", Scope.EVERYWHERE, ("?", "f1"), "keys", command="help"),
    Action("command", "command line", Scope.EVERYWHERE, (":",)),
    Action("palette", "palette of everything", Scope.EVERYWHERE, ("ctrl+p",), "palette", command="palette"),
    Action("inbox", "the oldest card for you, or this job's", Scope.EVERYWHERE, ("i",), command="card"),
    Action("last_screen", "back to the last screen", Scope.EVERYWHERE, ("`",), command="last"),
    *(
        _place("overview", "1"),
        _place("queue", "2"),
        _place("workers", "3"),
        _place("inbox", "4"),
        _place("spend", "5"),
        _place("schedules", "6"),
        _place("memory", "7"),
        _place("skills", "8"),
        _place("routes", "9"),
        _place("events", "0"),
        _place("limits", "L"),
        _place("health", "H"),
        _place("merges", "M"),
    ),
    Action("undo", "take back what was done last", Scope.EVERYWHERE, ("z",), "undo", command="undo"),
    Action("resync", "read everything again from the engine", Scope.EVERYWHERE, ("ctrl+r",), command="resync"),
    Action("quit", "detach; the work goes on", Scope.EVERYWHERE, ("q",), "detach", command="quit"),
    Action("suspend", "back to the shell; fg returns", Scope.EVERYWHERE, ("ctrl+z",), command="suspend"),
    Action("interrupt", "says how to detach", Scope.EVERYWHERE, ("ctrl+c",)),
    Action("open_job", "open a job by its number", Scope.EVERYWHERE, command="job", argument="JOB"),
    Action("export", "save this screen as a picture", Scope.EVERYWHERE, command="export", argument="FILE.svg"),
    Action("set_theme", "change the theme", Scope.EVERYWHERE, command="theme", argument="NAME"),
    Action("hold_all", "hold everything", Scope.EVERYWHERE, command="hold all"),
    Action("release_all", "release everything", Scope.EVERYWHERE, command="release all"),
    Action("shutdown", "drain and stop the engine", Scope.EVERYWHERE, command="shutdown", danger=True),
    Action("take", "take it; a digit takes that one", Scope.CHOOSE, ("enter",), "take it"),
    Action("leave", "choose nothing", Scope.CHOOSE, ("escape",), "leave it"),
    Action("yes", "yes", Scope.ASK, ("y",), "yes"),
    Action("no", "no", Scope.ASK, ("n", "escape"), "no"),
)

BY_ID = {action.id: action for action in ACTIONS}


def in_scopes(scopes: Iterable[Scope]) -> list[Action]:
    """The actions of some scopes, in the order of the table."""
    wanted = frozenset(scopes)
    return [action for action in ACTIONS if action.scope in wanted]


def bindings(*scopes: Scope) -> list[BindingType]:
    """Textual's bindings for some scopes. Each carries its action's id, so that a keymap can move it."""
    return [
        Binding(",".join(action.keys), action.doing(), action.title, id=action.id, show=False)
        for action in in_scopes(scopes)
        if action.keys
    ]


def commands() -> dict[str, Action]:
    """What can be typed after `:`."""
    return {action.command: action for action in ACTIONS if action.command}
