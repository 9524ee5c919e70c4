"""The tabs of a job's screen."""

from __future__ import annotations

from enum import StrEnum


class Tab(StrEnum):
    LOG = "Log"
    DIFF = "Diff"
    ATTEMPTS = "Attempts"
    SPEC = "Spec"

    def beside(self, step: int) -> Tab:
        """The tab so many steps to the right, around the end."""
        tabs = list(Tab)
        return tabs[(tabs.index(self) + step) % len(tabs)]
