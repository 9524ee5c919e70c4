"""A command loads its own family alone, and every command has one."""

from __future__ import annotations

from importlib import import_module

import pytest
import typer
from typer.main import get_group

from console.cli.app import application
from console.cli.families import FAMILIES, needed

ALL = tuple(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_adds_the_commands_that_it_is_said_to(name: str) -> None:
    alone = typer.Typer()
    alone.callback()(lambda: None)
    import_module(f"console.cli.{name}").add_to(alone)
    assert sorted(get_group(alone).commands) == sorted(FAMILIES[name].split())


def test_no_command_is_in_two_families() -> None:
    commands = " ".join(FAMILIES.values()).split()
    assert len(commands) == len(set(commands)) == len(get_group(application()).commands)


@pytest.mark.parametrize(
    ("words", "families"),
    [
        ("jobs --json", ("jobs",)),
        ("--home jobs show 1", ("jobs",)),
        ("--home=x --ascii undo", ("steer",)),
        ("--link ssh", ALL),
        ("--help jobs", ALL),
        ("jbos", ALL),
        ("--home", ALL),
        ("", ALL),
    ],
)
def test_a_command_line_loads_what_it_needs(words: str, families: tuple[str, ...]) -> None:
    assert needed(words.split()) == families


def test_a_mistyped_command_is_held_against_all_of_them() -> None:
    group = get_group(application(needed(["jbos"])))
    assert "jobs" in group.commands and "undo" in group.commands
