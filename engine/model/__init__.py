"""The nouns of Headway as frozen types. No I/O, no clock.

Times are integers: milliseconds since 1970-01-01 UTC. Money is integer micro-dollars. Everything that crosses
the socket is one of these types, encoded as JSON by msgspec.
"""

from engine.model.account import AccountStatus, AgentStatus
from engine.model.attempt import Attempt, DiffStat, Footprint, Progress, Usage
from engine.model.check import CheckResult
from engine.model.detail import Explanation, JobDetail
from engine.model.job import Job, JobSpec
from engine.model.merge import (
    MERGE_ENDED,
    Conflict,
    Merge,
    MergeDrop,
    MergeForeseen,
    MergeQueued,
    MergeState,
    MergeWanted,
)
from engine.model.order import ActionLine, ActionResult, Order, Preview, Shift, Undone
from engine.model.race import (
    MOST_TARGETS,
    RACE_ENDED,
    Race,
    RaceEntry,
    RacePick,
    RacePicked,
    RaceState,
    RaceWanted,
)
from engine.model.reason import Cause, Estimate, Reason
from engine.model.score import Compared, Comparison, Scoreboard, ScoreLine, Share, Typical
from engine.model.status import Batch, Breaker, Cap, Counts, Status
from engine.model.submission import Answer, Wanted
from engine.model.tap import TapState
from engine.model.target import Target
from engine.model.tools import Report, Tool
from engine.model.triage import (
    Corrected,
    Correction,
    Fired,
    Judgement,
    RuleLine,
    Triage,
    TriageAnswer,
    TriageRequest,
)
from engine.model.words import (
    ALL,
    LIMITS,
    PRIORITY_DEFAULT,
    SCOPES,
    TAG,
    UNFINISHED,
    AttemptId,
    Failure,
    Grade,
    JobId,
    OnFailure,
    Permission,
    State,
    Verb,
    Workspace,
)

__all__ = [
    "ALL",
    "LIMITS",
    "MERGE_ENDED",
    "MOST_TARGETS",
    "PRIORITY_DEFAULT",
    "RACE_ENDED",
    "SCOPES",
    "TAG",
    "UNFINISHED",
    "AccountStatus",
    "ActionLine",
    "ActionResult",
    "AgentStatus",
    "Answer",
    "Attempt",
    "AttemptId",
    "Batch",
    "Breaker",
    "Cap",
    "Cause",
    "CheckResult",
    "Compared",
    "Comparison",
    "Conflict",
    "Corrected",
    "Correction",
    "Counts",
    "DiffStat",
    "Estimate",
    "Explanation",
    "Failure",
    "Fired",
    "Footprint",
    "Grade",
    "Job",
    "JobDetail",
    "JobId",
    "JobSpec",
    "Judgement",
    "Merge",
    "MergeDrop",
    "MergeForeseen",
    "MergeQueued",
    "MergeState",
    "MergeWanted",
    "OnFailure",
    "Order",
    "Permission",
    "Preview",
    "Progress",
    "Race",
    "RaceEntry",
    "RacePick",
    "RacePicked",
    "RaceState",
    "RaceWanted",
    "Reason",
    "Report",
    "RuleLine",
    "ScoreLine",
    "Scoreboard",
    "Share",
    "Shift",
    "State",
    "Status",
    "TapState",
    "Target",
    "Tool",
    "Triage",
    "TriageAnswer",
    "TriageRequest",
    "Typical",
    "Undone",
    "Usage",
    "Verb",
    "Wanted",
    "Workspace",
]
