"""What agents may call of Headway while they work."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Tool(StrEnum):
    """One tool of the MCP server."""

    ASK_OPERATOR = "ask_operator"
    REPORT_PROGRESS = "report_progress"
    SUBMIT_JOB = "submit_job"
    JOB_STATUS = "job_status"
    RECALL = "recall"
    REMEMBER = "remember"
    HAND_OFF = "hand_off"
    CLAIM_DONE = "claim_done"


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far an agent says that it is."""

    line: str
    share: float | None = None
    """Of the whole, from 0 to 1, where it says so."""
    at: int = 0
