"""Where checks run on the work of an agent: in the sandbox that the agent has, for what it wrote is run by them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.errors import HeadwayError
from engine.gate.checks import Place
from engine.runner.cells import Cells


async def place_of(
    cells: Cells,
    agent: str,
    project: str | None,
    directory: Path,
    env: Mapping[str, str],
    marker: str,
    folder: Path | None,
) -> Place:
    """A place for checks. Where that cannot be made as it is to be, each of them says why, and has not passed."""
    try:
        confine, trouble = await cells.around(agent, project, directory, env), ""
    except HeadwayError as error:
        confine, trouble = None, error.message
    return Place(directory, env, marker, folder, confine=confine, trouble=trouble)
