"""Skills: which there are, whose, how often given and read, and how that ended; their text, and who was given them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from console.actions import Scope, bindings
from console.desk import Desk
from console.fields import Field
from console.format import clean_line
from console.roles import Part, Role
from console.screens.listing import ListScreen
from console.shelf import FIELDS, SkillRow, sign, told, use_line
from console.telling import heading, lines, prose
from console.transcript import Entry


class SkillsScreen(ListScreen[SkillRow]):
    """Those that ship, the user's own, and those of one project."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.SKILLS)
    SCOPES = frozenset({Scope.SKILLS})
    OWN = Scope.SKILLS
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "skill"
    EVERY = 60.0

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.project: str | None = None

    async def read(self) -> Sequence[SkillRow]:
        client = self.desk.client
        skills, counts = await asyncio.gather(client.skills(self.project), client.skill_counts())
        by_name = {count.name: count for count in counts}
        return [SkillRow(skill, None if skill.problem else by_name.get(skill.name)) for skill in skills]

    def id_of(self, row: SkillRow) -> Hashable:
        return row.id

    def sign_of(self, row: SkillRow, now: int) -> Part:
        return sign(row, now)

    def title_more(self, now: int) -> Sequence[Part]:
        where = [(f"with those of {clean_line(self.project)}", Role.ACCENT)] if self.project else []
        broken = sum(row.skill.problem is not None for row in self._all)
        return [*where, *([(f"{broken} broken", Role.FAILED)] if broken else [])]

    def line_of(self, row: SkillRow, now: int) -> Sequence[Part]:
        if row.skill.problem:
            return [(clean_line(row.skill.problem), Role.FAILED)]
        return [(clean_line(row.skill.description), Role.MUTED)]

    def told_of(self, row: SkillRow, now: int) -> list[Entry]:
        return told(row, now)

    def nothing(self) -> Sequence[Sequence[Part]]:
        return (
            (("   There is no skill here. In another terminal:", Role.TEXT),),
            (("   headway skills new NAME", Role.KEY),),
        )

    # What the keys do

    def action_read_skill(self) -> None:
        if (row := self.table.row) is not None:
            self.work(self._read_text(row))

    async def _read_text(self, row: SkillRow) -> None:
        text = await self.attempt(self.desk.client.skill_text(row.skill.name, self.project))
        if text is not None:
            self.zoom(self.text)
            self.show_text(prose(text))

    def open_row(self, row: SkillRow) -> None:
        if row.skill.problem:
            super().open_row(row)
        else:
            self.action_read_skill()

    def action_skill_history(self) -> None:
        if (row := self.table.row) is not None:
            self.work(self._history(row))

    async def _history(self, row: SkillRow) -> None:
        uses = await self.attempt(self.desk.client.skill_uses(row.skill.name))
        if uses is None:
            return
        self.zoom(self.text)
        found = [*heading(f"who was given {row.skill.name}, the newest first")[1:]]
        self.show_text(found + (lines(use_line(one) for one in uses) or lines(["nobody yet"], Role.MUTED)))

    def action_skills_of(self, project: str = "") -> None:
        """Those of a project too; without one, only those for everything."""
        if project:
            self._of(project)
        else:
            self.ask_for("with the skills of which project?", self.project or "", self._of)

    def _of(self, project: str) -> None:
        self.project = project or None
        self.reload()
