"""Holds one skill against the whole format, for its writer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.skills.contents import read_files
from engine.skills.reading import BadSkillError, read_document
from engine.skills.rules import offences, unusable
from engine.skills.skill import FILE, tokens

BODY_TOKENS = 5_000  #: and so many lines: what the specification recommends for a SKILL.md
BODY_LINES = 500
SHORT = 200  #: characters of a description with which a list of dozens fits into what agents give it


@dataclass(frozen=True, slots=True)
class Verdict:
    """`errors` break the format; `advice` is what makes a skill work less well than it could."""

    errors: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def validate(folder: Path) -> Verdict:
    """Read a skill as strictly as the reference validator does."""
    if not folder.is_dir():
        return Verdict((f"{folder} is no folder",))
    try:
        files = read_files(folder)
        own = next((one for one in files if one.name == FILE), None)
        if own is None:
            return Verdict((f"there is no {FILE} in it",))
        document = read_document(own.data)
    except (BadSkillError, OSError) as error:
        return Verdict((str(error),))
    problem = unusable(document.head)
    errors = [*document.strict, *([problem] if problem else []), *offences(document.head, folder.resolve().name)]
    return Verdict(tuple(errors), tuple(_advice(document.head.get("description"), document.body)))


def _advice(description: object, body: str) -> list[str]:
    said = []
    if isinstance(description, str):
        if len(description) > SHORT:
            said.append(f"the description has {len(description)} characters: agents cut long lists; {SHORT} are enough")
        if "use " not in description.lower():
            said.append('the description does not say when: "Use when ..."')
    if not body.strip():
        said.append("there is no text after the head")
    if len(body.splitlines()) > BODY_LINES or tokens(body) > BODY_TOKENS:
        said.append(f"more than {BODY_LINES} lines or {BODY_TOKENS:,} tokens: put details into references/")
    return said
