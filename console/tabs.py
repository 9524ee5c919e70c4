"""The tabs of a job's screen."""

from __future__ import annotations

from enum import StrEnum


class Tab(StrEnum):
    TIMELINE = "Timeline"
    LOG = "Log"
    SPEC = "Prompt"
    """What was asked, and all that it is told."""
    DIFF = "Diff"
    GATE = "Gate"
    """What is held against the agent's word, round by round."""
    ATTEMPTS = "Attempts"
    EVENTS = "Events"
    COST = "Cost"

    def beside(self, step: int) -> Tab:
        """The tab so many steps to the right, around the end."""
        tabs = list(Tab)
        return tabs[(tabs.index(self) + step) % len(tabs)]
