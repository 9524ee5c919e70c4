"""One line of the log."""

from __future__ import annotations

from msgspec import Struct

from engine.events.access import AccessBody
from engine.events.around import AroundBody
from engine.events.cards import CardBody
from engine.events.cluster import ClusterBody
from engine.events.gates import GateBody
from engine.events.handoffs import HandOffBody
from engine.events.judgement import JudgementBody
from engine.events.life import LifeBody
from engine.events.merging import MergingBody
from engine.events.money import MoneyBody
from engine.events.network import NetworkBody
from engine.events.notices import NoticeBody
from engine.events.pipelines import PipelineBody
from engine.events.schedules import ScheduleBody
from engine.events.skills import SkillBody
from engine.events.talk import TalkBody
from engine.events.tools import ToolBody
from engine.events.verbs import VerbBody
from engine.events.workers import WorkerBody

AnyBody = (
    LifeBody
    | TalkBody
    | VerbBody
    | CardBody
    | MoneyBody
    | JudgementBody
    | SkillBody
    | ScheduleBody
    | NoticeBody
    | HandOffBody
    | ToolBody
    | WorkerBody
    | MergingBody
    | PipelineBody
    | GateBody
    | NetworkBody
    | ClusterBody
    | AroundBody
    | AccessBody
)


class Event(Struct, frozen=True, kw_only=True):
    """One line of the log. `at` is milliseconds UTC; `seq` grows by one and is never used twice."""

    seq: int
    at: int
    body: AnyBody
    job: int | None = None
    attempt: int | None = None
