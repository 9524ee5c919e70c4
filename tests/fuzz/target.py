"""What is fuzzed: bytes in, and nothing out but the errors of the one tree."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto

Read = Callable[[bytes], None]
"""Reads one input as Headway would. Raises what `contract` allows, or fails by an assertion."""


class Form(Enum):
    """What an input is made of, and so how it is changed."""

    TREE = auto()
    """One document of YAML or JSON."""
    LINES = auto()
    """JSON, a value a line."""
    HEADED = auto()
    """A head of YAML between lines of `---`, and a text below it."""
    WORDS = auto()
    """A line that a person types."""
    HTTP = auto()
    """A request as it is sent, with its body."""


@dataclass(frozen=True)
class Target:
    """One thing that reads."""

    name: str
    form: Form
    seeds: Callable[[], Sequence[bytes]]
    """Inputs that it understands: every other one is a change of these."""
    opened: Callable[[], AbstractContextManager[Read]]
    words: Sequence[bytes] = ()
    """What its language has that the seeds may not show."""


def plain(read: Read) -> Callable[[], AbstractContextManager[Read]]:
    """For a target that needs nothing around it."""
    return lambda: contextlib.nullcontext(read)
