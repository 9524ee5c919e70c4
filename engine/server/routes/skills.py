"""Skills: which there are, what jobs were given, how they do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.server.http import LIST_LIMIT, as_json, job_of, project_of, read_number


def routes(engine: Engine) -> list[Route]:
    """What can be asked of skills."""
    api = _Skills(engine)
    return [
        Route("/v1/skills", api.skills),
        Route("/v1/skills/stats", api.stats),
        Route("/v1/skills/{name}/text", api.text),
        Route("/v1/skills/{name}/uses", api.uses),
        Route("/v1/jobs/{job}/skills", api.of_job),
    ]


class _Skills:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def skills(self, request: Request) -> Response:
        """With `project`, a name of the settings or a directory, those of that project too."""
        return as_json(await self._engine.shelf.skills(project_of(request, self._engine.settings)))

    async def stats(self, request: Request) -> Response:
        return as_json(await self._engine.shelf.counts())

    async def text(self, request: Request) -> Response:
        """The text of one, of those that the same call lists."""
        name, project = request.path_params["name"], project_of(request, self._engine.settings)
        return as_json(await self._engine.shelf.text(name, project))

    async def uses(self, request: Request) -> Response:
        """The newest attempts that it was chosen for."""
        limit = max(1, min(read_number(request, "limit", 50) or 50, LIST_LIMIT))
        return as_json(await self._engine.shelf.uses(request.path_params["name"], limit))

    async def of_job(self, request: Request) -> Response:
        return as_json(await self._engine.shelf.of_job(job_of(request)))
