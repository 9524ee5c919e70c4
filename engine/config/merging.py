"""What headway.yaml says of how work comes to a project's branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks
from engine.documents import Complaint

if TYPE_CHECKING:
    from engine.config.settings import Settings


class MergeSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What has to hold before the branch of a project is moved."""

    checks: list[Annotated[str, Meta(min_length=1)]] = field(default_factory=list)
    """Command lines that have to exit with 0 in a fresh checkout of what the branch would become."""
    timeout: str | int = "10m"
    """For each of them."""


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with how projects are merged."""
    for name, project in settings.projects.items():
        yield from checks.spans(("projects", name, "merge"), project.merge, "timeout")
        branch = project.branch
        if branch is not None and (branch.startswith("-") or branch.split() != [branch]):
            yield ("projects", name, "branch"), f"{branch!r} is no name of a branch"
