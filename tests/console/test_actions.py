from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from console.actions import ACTIONS, BY_ID, TOGETHER, Action, Scope, commands
from console.app import ConsoleApp
from console.commands import read_command, read_job
from console.keys import Keymap, keymap_names, moved_keys, show_key
from console.screens.help import HelpList, HelpScreen
from console.screens.inbox import InboxScreen
from console.screens.job import JobScreen
from console.screens.listing import ListScreen
from console.screens.memory import MemoryScreen
from console.screens.overview import OverviewScreen
from console.screens.places import PLACES
from console.screens.queue import QueueScreen
from console.screens.workers import WorkersScreen
from console.widgets.ask_bar import Question
from console.widgets.board import Board
from console.widgets.card_list import CardList
from console.widgets.chooser import Chooser
from console.widgets.rows import Rows
from console.widgets.step_list import StepList
from console.widgets.table import Table
from console.widgets.tail import Tail
from console.widgets.worker_list import WorkerList
from engine.errors import UsageError

#: The screens that are lists, from the one list of screens.
LISTS: tuple[type[ListScreen[Any]], ...] = tuple(
    place.screen for place in PLACES if issubclass(place.screen, ListScreen)
)

#: Who carries out the actions of each scope.
OWNERS: dict[Scope, tuple[type, ...]] = {
    Scope.EVERYWHERE: (ConsoleApp,),
    Scope.LIST: (Rows, HelpList, CardList, WorkerList, Chooser, Board, Table, StepList),
    Scope.TEXT: (Tail,),
    Scope.JOBS: (QueueScreen, JobScreen, WorkersScreen),
    Scope.TABLE: (QueueScreen, *LISTS),
    Scope.SORTED: (QueueScreen, *LISTS),
    Scope.MARKS: (QueueScreen, MemoryScreen),
    Scope.OVERVIEW: (OverviewScreen,),
    Scope.WORKERS: (WorkersScreen,),
    Scope.READING: (WorkersScreen, JobScreen),
    Scope.CHOOSE: (Chooser,),
    Scope.QUEUE: (QueueScreen,),
    Scope.JOB: (JobScreen,),
    Scope.INBOX: (InboxScreen,),
    **{screen.OWN: (screen,) for screen in LISTS},
    Scope.HELP: (HelpScreen,),
    Scope.ASK: (Question,),
}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_is_carried_out_by_everything_in_its_scope(action: Action) -> None:
    for owner in OWNERS[action.scope]:
        assert callable(getattr(owner, action.method, None)), owner
        if action.keys:
            bound = {binding.id for _, binding in owner._merged_bindings}  # type: ignore[attr-defined]
            assert action.id in bound, f"{owner.__name__} does not bind {action.id}"
    assert action.keys or action.command, "it cannot be reached"


def test_no_key_does_two_things_at_one_place() -> None:
    for group in TOGETHER:
        keys = Counter(key for action in ACTIONS if action.scope in group for key in action.keys)
        assert [key for key, count in keys.items() if count > 1] == []


def test_ids_and_commands_are_unique() -> None:
    assert len(BY_ID) == len(ACTIONS)
    assert len(commands()) == len([action for action in ACTIONS if action.command])


def test_what_cannot_be_taken_back_is_marked() -> None:
    assert {action.id for action in ACTIONS if action.danger} == {"cancel", "forget", "shutdown"}


@pytest.mark.parametrize(
    ("text", "id", "argument"),
    [
        ("job 12", "open_job", "12"), ("theme day", "set_theme", "day"),
        ("filter  state:failed  x", "filter", "state:failed  x"),
        ("hold all", "hold_all", ""), ("hold", "hold", ""), ("HOLD ALL", "hold_all", ""),
        ("release all", "release_all", ""),
        ("quit", "quit", ""), ("shutdown", "shutdown", ""), ("filter", "filter", ""),
    ],
)  # fmt: skip
def test_a_command_line_names_an_action(text: str, id: str, argument: str) -> None:
    action, given = read_command(text)
    assert (action.id, given) == (id, argument)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("thme day", "did you mean :theme?"), ("hodl all", "did you mean :hold all?"),
        ("quit now", "takes nothing after it"),
        ("xyzzy", "there is no command :xyzzy"), ("   ", "type a command"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_names_the_nearest(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        read_command(text)


@pytest.mark.parametrize(("text", "job"), [("12", 12), ("J12", 12), ("j12 ", 12), ("#7", 7)])
def test_a_job_is_named_by_its_number(text: str, job: int) -> None:
    assert read_job(text) == job


@pytest.mark.parametrize("text", ["", "J", "twelve", "-3", "1.5", "٣", "9" * 40])
def test_what_is_no_number_is_no_job(text: str) -> None:
    with pytest.raises(UsageError):
        read_job(text)


def test_keys_can_be_moved() -> None:
    keymap = moved_keys({"cancel": "D", "next_failed": "ctrl+n,N"})
    assert keymap.keys_of(BY_ID["cancel"]) == ("D",)
    assert keymap.shown(BY_ID["next_failed"]) == "^n N"
    assert keymap.keys_of(BY_ID["retry"]) == ("r",)
    assert keymap.for_textual() == {"cancel": "D", "next_failed": "ctrl+n,N"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"cancle": "D"}, "no action 'cancle'; did you mean 'cancel'"),
        ({"cancel": "r"}, "'r' would do both"),
        ({"cancel": "j"}, "'j' would do both"),
        ({"cancel": "ctrl+m"}, "cannot be used"),
        ({"cancel": "entre"}, "'entre' is not a key; did you mean 'enter'"),
        ({"cancel": ""}, "is not a key"),
        ({"set_theme": "T"}, "takes NAME and is a command"),
    ],
)
def test_a_wrong_keymap_says_what_is_wrong(keys: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        moved_keys(keys)
    assert said in caught.value.message


def test_keys_may_change_places() -> None:
    keymap = moved_keys({"cancel": "r", "retry": "x"})
    assert keymap.keys_of(BY_ID["cancel"]) == ("r",)


@pytest.mark.parametrize(("key", "shown"), [("ctrl+d", "^d"), ("escape", "esc"), ("pagedown", "pgdn"), ("x", "x")])
def test_keys_are_shown_short(key: str, shown: str) -> None:
    assert show_key(key) == shown


def test_the_default_keymap_moves_nothing() -> None:
    assert Keymap().for_textual() == {}


@pytest.mark.parametrize("name", keymap_names())
def test_a_shipped_keymap_clashes_with_nothing(name: str) -> None:
    assert moved_keys({}, name).moved


def test_keys_of_ones_own_go_before_those_of_a_keymap() -> None:
    keymap = moved_keys({"page_down": "ctrl+v"}, "vim")
    assert keymap.keys_of(BY_ID["page_down"]) == ("ctrl+v",)
    assert keymap.keys_of(BY_ID["page_up"]) == ("pageup", "ctrl+b")
    assert moved_keys({}, "arrows").keys_of(BY_ID["down"]) == ("down",)
    with pytest.raises(UsageError, match=r"keymap: there is no 'emacs'; there are arrows, vim"):
        moved_keys({}, "emacs")
    with pytest.raises(UsageError, match=r"'ctrl\+f' would do both"):
        moved_keys({"cancel": "ctrl+f"}, "vim")
