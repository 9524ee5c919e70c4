"""The append-only log: one struct for each thing that can happen to a job.

What is not in the log did not happen: the table of jobs can be rebuilt from it (`engine.store.fold`), so every
body carries all that the change of state needs.
"""

from engine.events.access import Audited, TokenAdded, TokenRevoked
from engine.events.around import BreakerMoved, ClockSet, EngineStarted, EngineStopped, LimitSeen
from engine.events.body import Body
from engine.events.cards import (
    Answered,
    Asked,
    CardSnoozed,
    DefaultNear,
    Escalated,
    Reopened,
    RuleDropped,
    RuleKept,
    RuleProposed,
)
from engine.events.cluster import Placed
from engine.events.event import AnyBody, Event
from engine.events.gates import GateChecked, Gated, GateReviewed, SentBack
from engine.events.handoffs import ContextTold, HandOffStored
from engine.events.judgement import RaceBegun, RaceChecked, RaceMoved, Routed, Triaged
from engine.events.life import (
    Adopted,
    Blocked,
    Claimed,
    Due,
    Failed,
    Launched,
    Pruned,
    Requeued,
    Submitted,
    Succeeded,
    Unblocked,
)
from engine.events.merging import MergeEntered, MergeMoved
from engine.events.money import BudgetAllowed, BudgetReached, BudgetStopped, BudgetWarned, Drifted, total_cost
from engine.events.network import NetworkRefused
from engine.events.notices import Notified
from engine.events.pipelines import PipelineEntered, PipelineMoved, StepMoved
from engine.events.schedules import ScheduleFired, ScheduleMissed, ScheduleSet
from engine.events.skills import SkillsGiven, SkillsUsed
from engine.events.talk import Attached, Compacted, Detached, HandedOff, Parked
from engine.events.tools import Reported, Spawned, ToolCalled
from engine.events.verbs import (
    Cancelled,
    CapSet,
    Draining,
    Edited,
    Held,
    Moved,
    Prioritised,
    Released,
    Rerouted,
    Restored,
    Retried,
    Snoozed,
    Standing,
    Stopping,
)
from engine.events.workers import WorkerSet

__all__ = [
    "Adopted",
    "Answered",
    "AnyBody",
    "Asked",
    "Attached",
    "Audited",
    "Blocked",
    "Body",
    "BreakerMoved",
    "BudgetAllowed",
    "BudgetReached",
    "BudgetStopped",
    "BudgetWarned",
    "Cancelled",
    "CapSet",
    "CardSnoozed",
    "Claimed",
    "ClockSet",
    "Compacted",
    "ContextTold",
    "DefaultNear",
    "Detached",
    "Draining",
    "Drifted",
    "Due",
    "Edited",
    "EngineStarted",
    "EngineStopped",
    "Escalated",
    "Event",
    "Failed",
    "GateChecked",
    "GateReviewed",
    "Gated",
    "HandOffStored",
    "HandedOff",
    "Held",
    "Launched",
    "LimitSeen",
    "MergeEntered",
    "MergeMoved",
    "Moved",
    "NetworkRefused",
    "Notified",
    "Parked",
    "PipelineEntered",
    "PipelineMoved",
    "Placed",
    "Prioritised",
    "Pruned",
    "RaceBegun",
    "RaceChecked",
    "RaceMoved",
    "Released",
    "Reopened",
    "Reported",
    "Requeued",
    "Rerouted",
    "Restored",
    "Retried",
    "Routed",
    "RuleDropped",
    "RuleKept",
    "RuleProposed",
    "ScheduleFired",
    "ScheduleMissed",
    "ScheduleSet",
    "SentBack",
    "SkillsGiven",
    "SkillsUsed",
    "Snoozed",
    "Spawned",
    "Standing",
    "StepMoved",
    "Stopping",
    "Submitted",
    "Succeeded",
    "TokenAdded",
    "TokenRevoked",
    "ToolCalled",
    "Triaged",
    "Unblocked",
    "WorkerSet",
    "total_cost",
]
