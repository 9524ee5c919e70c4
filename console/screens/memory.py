"""Memory: what is remembered, searched with every term of the score; read, edited, pinned, accepted and forgotten."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from console.actions import Scope, bindings
from console.desk import Desk
from console.fields import Field
from console.format import clean_line, plural
from console.messages import JobsChanged
from console.recall import (
    FIELDS,
    PINNED,
    PLAIN,
    MemoryRow,
    answer_parts,
    core_entries,
    only,
    sign,
    status_text,
    told,
    told_whole,
)
from console.roles import Part, Role
from console.screens.editing import edit
from console.screens.marked import MarkedScreen
from console.transcript import Entry
from engine.memory.answers import Change, Forget, MemoryStatus, Recalled, Verb
from engine.memory.item import GLOBAL, Item, Standing

#: Things that are listed: the newest; a search looks at all.
_LISTED, _FOUND = 1_000, 50

#: More than so many are forgotten only after their number was typed.
_MANY = 20


class MemoryScreen(MarkedScreen[MemoryRow]):
    """The newest things, or what a search found."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.MARKS, Scope.MEMORY)
    SCOPES = frozenset({Scope.MEMORY})
    OWN = Scope.MEMORY
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "thing"
    EVERY = 30.0

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.question = ""
        self._found: Recalled | None = None
        self._status: MemoryStatus | None = None

    async def read(self) -> Sequence[MemoryRow]:
        memory = self.desk.client.memory
        self._status = await memory.status()
        if self.question:
            self._found = await memory.search(self.question, limit=_FOUND)
            return [MemoryRow(part.item, part) for part in self._found.parts]
        self._found = None
        return [MemoryRow(item) for item in await memory.items(limit=_LISTED)]

    def id_of(self, row: MemoryRow) -> Hashable:
        return row.item.id

    def sign_of(self, row: MemoryRow, now: int) -> Part:
        return sign(row, now)

    def concerns(self, event: JobsChanged) -> bool:
        return event.reordered and not self.question

    def title_more(self, now: int) -> Sequence[Part]:
        if self._found is not None:
            return [(f"? {clean_line(self.question)}", Role.ACCENT), *answer_parts(self._found)]
        proposed = only(self._all, Standing.PROPOSED)
        return [(f"{len(proposed)} proposed", Role.YOU)] if proposed else []

    def line_of(self, row: MemoryRow, now: int) -> Sequence[Part]:
        return [(f"{clean_line(row.item.scope)}  ", Role.MUTED), (clean_line(row.item.text), Role.TEXT)]

    def told_of(self, row: MemoryRow, now: int) -> list[Entry]:
        return told(row, now)

    async def look_up(self, row: MemoryRow) -> list[Entry]:
        return told_whole(row, await self.desk.client.memory.item(row.item.id), self.desk.clock())

    def nothing(self) -> Sequence[Sequence[Part]]:
        if self.question:
            return (
                (("   Nothing is remembered that fits ", Role.TEXT), (clean_line(self.question), Role.ACCENT)),
                (("   esc", Role.KEY), (" goes back to all.", Role.MUTED)),
            )
        index = status_text(self._status) if self._status is not None else ""
        return (
            (("   Nothing is remembered yet. In another terminal:", Role.TEXT),),
            (("   headway memory add \"the parser in parser/ is canonical\"", Role.KEY),),
            (("   E", Role.KEY), (" writes what every job is told, the core file. ", Role.MUTED), (index, Role.MUTED)),
        )  # fmt: skip

    # What the keys do

    def action_recall(self, question: str = "") -> None:
        if question:
            self._ask(question)
        else:
            self.ask_for("recall:", self.question, self._ask)

    def _ask(self, question: str) -> None:
        self.question = " ".join(question.split())
        self.reload()

    def action_clear(self) -> None:
        plain = not (self.has_class("-zoom-text") or self.has_class("-zoom-list") or self.table.marks or self.filter)
        if plain and self.question and self.focused is self.table:
            self._ask("")
        else:
            super().action_clear()

    def action_edit_memory(self) -> None:
        if (row := self.target()) is not None:
            self.work(self._edit(row.item))

    async def _edit(self, item: Item) -> None:
        async def take(text: str) -> str:
            await self.desk.client.memory.change(Change(ids=[item.id], verb=Verb.EDIT, text=text.strip()))
            return f"{item.id} changed"

        if await edit(self, item.text + "\n", ".md", take):
            self.reload()

    def action_edit_core(self, scope: str = "") -> None:
        row = self.table.row
        self.work(self._edit_core(scope or (row.item.scope if row is not None else GLOBAL)))

    async def _edit_core(self, scope: str) -> None:
        memory = self.desk.client.memory
        core = await self.attempt(memory.core(scope))
        if core is None:
            return

        async def take(text: str) -> str:
            now = await memory.set_core(scope, text)
            return f"the core file of {scope} has {now.tokens} tokens"

        await edit(self, core.text, ".md", take)

    def action_read_core(self, scope: str = "") -> None:
        row = self.table.row
        self.work(self._read_core(scope or (row.item.scope if row is not None else GLOBAL)))

    async def _read_core(self, scope: str) -> None:
        core = await self.attempt(self.desk.client.memory.core(scope))
        if core is not None:
            self.zoom(self.text)
            self.show_text(core_entries(core))

    def action_pin(self) -> None:
        rows = self.targets()
        unpin = bool(rows) and all(row.pinned for row in rows)
        self._change(rows, "unpinned" if unpin else "pinned", Verb.EDIT, PLAIN if unpin else PINNED)

    def action_accept(self) -> None:
        self._decide(Verb.ACCEPT, "accepted")

    def action_reject(self) -> None:
        self._decide(Verb.RETRACT, "rejected")

    def _decide(self, verb: Verb, past: str) -> None:
        rows = self.targets()
        proposed = [row for row in rows if row.item.standing is Standing.PROPOSED]
        if rows and not proposed:
            self.say("only what is proposed is accepted or rejected", Role.WAIT)
        else:
            self._change(proposed, past, verb)

    def _change(self, rows: Sequence[MemoryRow], past: str, verb: Verb, importance: float | None = None) -> None:
        if rows:
            ids = [row.item.id for row in rows]
            self.work(self._changed_all(Change(ids=ids, verb=verb, importance=importance), past))

    async def _changed_all(self, change: Change, past: str) -> None:
        async def call() -> str:
            items = await self.desk.client.memory.change(change)
            return f"{past} {plural(len(items), 'thing')}"

        if await self.done(call):
            self.table.marks.clear()

    def action_forget(self) -> None:
        if rows := self.targets():
            self.work(self._forget([row.item.id for row in rows]))

    async def _forget(self, ids: list[int]) -> None:
        memory = self.desk.client.memory
        plan = await self.attempt(memory.forget(Forget(ids=ids, dry_run=True)))
        if plan is None:
            return
        told_to = f", told to {plural(len(plan.told), 'attempt')}" if plan.told else ""
        asked = f"forget {plural(len(plan.ids), 'thing')}{told_to}? nothing brings it back"
        if not await self._sure(asked, len(plan.ids)):
            self.say("nothing was forgotten")
            return

        async def call() -> str:
            gone = await memory.forget(Forget(ids=plan.ids))
            rest = f"; {plural(len(gone.told), 'attempt')} still has it in its files" if gone.told else ""
            return f"forgot {plural(len(gone.ids), 'thing')}{rest}"

        if await self.done(call):
            self.table.marks.clear()

    async def _sure(self, asked: str, count: int) -> bool:
        if count > _MANY:
            return await self.ask.typed(f"{asked}; type {count}, then enter:", str(count))
        return await self.ask.confirm(asked)

    def action_uses(self) -> None:
        if self.table.row is not None:
            self.zoom(self.text)
