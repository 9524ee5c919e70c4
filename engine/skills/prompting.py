"""Skills as words of a prompt, for an agent that does not find them by itself. Pure.

The form is that of the format's client guide: `<skill_content>` with the text, `<available_skills>` with where more is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from engine.skills.skill import FILE, tokens

HEAD = "These skills were chosen for the task. Follow one where it fits."
MORE = "These were chosen too. Read the file of one where it fits."
HIDDEN = "its text does not fit into the budget of the prompt"


@dataclass(frozen=True, slots=True)
class Page:
    """A skill that is told. `place`: its folder, where the agent can read files; else None."""

    name: str
    description: str
    body: str
    place: str | None = None
    files: tuple[str, ...] = ()


def given_text(pages: Sequence[Page], budget: int) -> tuple[str, dict[str, str]]:
    """The block for a prompt in at most so many tokens, and which skills are not told whole, each with why."""
    whole: list[str] = []
    rest: list[str] = []
    notes: dict[str, str] = {}
    used = tokens(HEAD)
    for page in pages:
        text = _content(page)
        if used + tokens(text) <= budget:
            whole.append(text)
            used += tokens(text)
            continue
        notes[page.name] = HIDDEN
        entry = _entry(page)
        if page.place is not None and used + tokens(entry) + tokens(MORE) <= budget:
            rest.append(entry)
            used += tokens(entry)
            notes[page.name] = f"{HIDDEN}: it was told where it is"
    parts = [HEAD, *whole] if whole else []
    if rest:
        parts += [MORE, "\n".join(["<available_skills>", *rest, "</available_skills>"])]
    return "\n\n".join(parts), notes


def named_line(names: Sequence[str]) -> str:
    """What an agent is told of skills that somebody named: it finds them by itself, and shall read them."""
    listed = ", ".join(f"`{name}`" for name in names)
    return f"Use the skill{'s' * (len(names) > 1)} {listed} for this task." if names else ""


def _content(page: Page) -> str:
    text = f"<skill_content name={quoteattr(page.name)}>\n{page.body.strip()}\n"
    if page.place is not None and page.files:
        listed = "\n".join(f"  <file>{escape(name)}</file>" for name in page.files)
        text += f"\nFolder of the skill: {escape(page.place)}\n<skill_resources>\n{listed}\n</skill_resources>\n"
    return f"{text}</skill_content>"


def _entry(page: Page) -> str:
    where = f"{page.place}/{FILE}"
    return (
        f"<skill>\n<name>{escape(page.name)}</name>\n<description>{escape(page.description)}</description>\n"
        f"<location>{escape(where)}</location>\n</skill>"
    )
