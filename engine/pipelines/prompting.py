"""A step's prompt: its text with what was asked for, and what earlier steps came to, in their places. Pure.

What agents said and changed is put between marks that neither it nor another text can open or close: it is material.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from engine.gate.material import cut, marked

PLACE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
WORDS = ("what", "change", "project")  #: names that every pipeline has
SAID_CHARS = 40_000  #: of what one step said
CHANGE_CHARS = 120_000  #: of the change: some 30,000 tokens


def names_in(text: str) -> list[str]:
    """What stands in the places of a text."""
    return [found[1] for found in PLACE.finditer(text)]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each place filled. What is put in is never looked at again."""
    return PLACE.sub(lambda found: values.get(found[1], ""), text)


def known_names(inputs: Collection[str], before: Collection[str]) -> Iterator[str]:
    """The names that the text of a step may have in it. `before`: the steps that are over once it begins."""
    yield from WORDS
    yield from inputs
    for step in before:
        yield f"steps.{step}"
        yield f"steps.{step}.words"


def material(name: str, text: str, most: int = SAID_CHARS) -> str:
    """A text as material."""
    return marked(name, cut(text, most))
