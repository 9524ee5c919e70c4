"""The skills that come with Headway, in the Agent Skills format: folders whose SKILL.md says when to use them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from msgspec import Struct

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NAME_LIMIT = 64  #: characters, by the format's specification
DESCRIPTION_LIMIT = 1_024


class Skill(Struct, frozen=True, kw_only=True):
    name: str
    description: str
    path: str
    """Its SKILL.md."""
    problem: str | None = None
    """Why an agent cannot use it as it is."""


def skills_folder() -> Path:
    """Where they are: in an installed copy beside this module, in a source tree beside the package."""
    beside = Path(__file__).parent / "skills"
    return beside if beside.is_dir() else Path(__file__).parent.parent / "skills"


def find_skills(folder: Path | None = None) -> list[Skill]:
    """The skills in a folder, by name. One that cannot be used is among them, with its problem."""
    folder = folder or skills_folder()
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []
    return [_read(entry) for entry in entries]


def _read(entry: Path) -> Skill:
    path = entry / "SKILL.md"
    try:
        head = _frontmatter(path.read_text(encoding="utf-8"))
    except OSError as error:
        return _broken(entry, f"SKILL.md cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return _broken(entry, "SKILL.md is not UTF-8")
    except ValueError as error:
        return _broken(entry, str(error))
    name, description = head.get("name"), head.get("description")
    return Skill(
        name=name if isinstance(name, str) else entry.name,
        description=" ".join(description.split()) if isinstance(description, str) else "",
        path=str(path),
        problem=_problem(entry.name, name, description),
    )


def _broken(entry: Path, problem: str) -> Skill:
    return Skill(name=entry.name, description="", path=str(entry / "SKILL.md"), problem=problem)


def _frontmatter(text: str) -> dict[object, object]:
    """The mapping between the first two lines of `---`. Raises `ValueError` with what is wrong."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        raise ValueError("SKILL.md must begin with a line of ---")
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        raise ValueError("the frontmatter of SKILL.md has no closing line of ---")
    try:
        head = yaml.safe_load("\n".join(lines[1:end]))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 2} of " if mark else ""
        raise ValueError(f"{place}SKILL.md: {getattr(error, 'problem', None) or 'not YAML'}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the frontmatter of SKILL.md: {error}") from None
    if not isinstance(head, dict):
        raise ValueError("the frontmatter of SKILL.md is not a mapping of names to values")
    return head


def _problem(folder: str, name: object, description: object) -> str | None:
    if not isinstance(name, str) or not name:
        return "`name` is missing"
    if not NAME.fullmatch(name) or len(name) > NAME_LIMIT:
        return f"`name` must be lowercase letters, digits and single hyphens, at most {NAME_LIMIT}"
    if name != folder:
        return f"`name` is {name!r}, and its folder {folder!r}"
    if not isinstance(description, str) or not description.strip():
        return "`description` is missing"
    if len(description) > DESCRIPTION_LIMIT:
        return f"`description` has {len(description)} characters; {DESCRIPTION_LIMIT} are allowed"
    return None
