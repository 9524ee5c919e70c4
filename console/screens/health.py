"""Health: the engine, its agents and their logins, memory, caps and sizes; what is wrong first, with how to mend it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from textual.app import SuspendNotSupported
from textual.binding import BindingType

from console.actions import Scope, bindings
from console.checkup import FIELDS, HealthRow, figures_of, health_rows, role, sign, told
from console.fields import Field
from console.format import clean_line
from console.roles import Part, Role
from console.screens.listing import ListScreen
from console.transcript import Entry


class HealthScreen(ListScreen[HealthRow]):
    """What the engine says of itself; `d` looks at the machine too."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.HEALTH)
    SCOPES = frozenset({Scope.HEALTH})
    OWN = Scope.HEALTH
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "finding"
    EVERY = 60.0

    async def read(self) -> Sequence[HealthRow]:
        client = self.desk.client
        status, ready, agents = await asyncio.gather(client.status(), client.ready(), client.agents())
        memory, caps, breakers, metrics = await asyncio.gather(
            client.memory.status(), client.caps(), client.breakers(), client.metrics()
        )
        why = "" if ready.ready else ready.why or "no"
        return health_rows(status, why, agents, memory, caps, breakers, figures_of(metrics), self.desk.clock())

    def id_of(self, row: HealthRow) -> Hashable:
        return row.area, row.name

    def sign_of(self, row: HealthRow, now: int) -> Part:
        return sign(row, now)

    def title_more(self, now: int) -> Sequence[Part]:
        wrong = sum(role(row, now) is Role.FAILED for row in self._all)
        return [(f"{wrong} wrong", Role.FAILED) if wrong else ("nothing is wrong", Role.DONE)] if self.loaded else []

    def line_of(self, row: HealthRow, now: int) -> Sequence[Part]:
        return [(f"{clean_line(row.found)}  ", Role.MUTED), (clean_line(row.mend), Role.WAIT)]

    def told_of(self, row: HealthRow, now: int) -> list[Entry]:
        return told(row, now)

    def action_check_again(self) -> None:
        self.reload()
        self.say("looking again")

    def action_doctor(self) -> None:
        """Lend the terminal to `headway doctor`, which looks at this machine and the home."""
        status = self.desk.status
        if status is None:
            self.say("no engine has said yet which home is its own")
            return
        command = [sys.executable, "-m", "console.cli", "--home", status.home, "doctor"]
        try:
            with self.app.suspend():
                code = subprocess.run(command, check=False).returncode
                input("\nenter goes back to the console ")
        except SuspendNotSupported:
            self.say("this terminal cannot be lent; in another one: headway doctor")
        except (OSError, EOFError) as error:
            self.say(f"doctor: {error}", Role.FAILED)
        else:
            self.say("doctor found nothing wrong" if code == 0 else "doctor found something wrong", Role.TEXT)
