"""What the engine can say of the autonomy tax."""

from __future__ import annotations

from engine.clock import now_ms
from engine.config import Settings
from engine.documents import nearest
from engine.errors import UsageError
from engine.model.tax import Tax
from engine.spend import report
from engine.store import Store
from engine.tax.read import tax


class Taxes:
    """One for an engine."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._projects = {name: one.directory for name, one in settings.projects.items()}

    async def since(self, when: str | None = None, project: str | None = None) -> Tax:
        """What was spent since a time, which is read as by `headway spend`. `project`: its name, or its directory.

        Raises `UsageError` for what is no time, and no project.
        """
        now = now_ms()
        at = report.midnight(now, report.DAYS - 1) if when is None else report.since_of(when, now)
        where = self._directory(project) if project is not None else None
        return await self._store.look(lambda tx: tax(tx, at, where))

    def _directory(self, project: str) -> str:
        if project in self._projects or project.startswith("/"):
            return self._projects.get(project, project)
        hint = nearest(project, self._projects) if self._projects else "give its directory"
        raise UsageError(f"there is no project {project!r}; {hint}")
