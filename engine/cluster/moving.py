"""A plan that was made at the engine, as it holds on a node. Pure.

A node's home is laid out as the engine's is, so a path below the one is a path below the other.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.runner.launch import Plan
from engine.runner.workspace import Placed


def path_at(path: Path, home: str, there: Path) -> Path:
    """A path below the engine's home as one below the node's. Raises `ValueError` for any other."""
    return there / path.relative_to(home)


def placed_at(placed: Placed, home: str, there: Path, repository: Path | None) -> Placed:
    """A workspace as it is on a node, whose own repository of the project that one is."""
    root = path_at(placed.root, home, there) if placed.root is not None else None
    return replace(placed, directory=path_at(placed.directory, home, there), root=root, repository=repository)


def plan_at(plan: Plan, placed: Placed, home: str, there: Path) -> Plan:
    """The whole plan. What the agent is told names paths as well."""

    def words(text: str) -> str:
        return text.replace(home, str(there))

    brief = plan.brief
    told = replace(brief.told, prompt=words(brief.told.prompt), standing=words(brief.told.standing))
    places = {str(path_at(Path(place), home, there)): files for place, files in brief.packing.places.items()}
    sheet = brief.sheet
    if sheet is not None:
        sheet = replace(sheet, path=path_at(sheet.path, home, there), text=words(sheet.text))
    packing = replace(brief.packing, places=places)
    return replace(plan, placed=placed, brief=replace(brief, told=told, packing=packing, sheet=sheet))
