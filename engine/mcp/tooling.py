"""What stands behind each tool."""

from __future__ import annotations

from collections.abc import Mapping

from engine.agents.base import Agent
from engine.config import Settings
from engine.context.personas import Personas
from engine.hub import Hub
from engine.mcp.asking import Questions
from engine.mcp.caller import Handler
from engine.mcp.capability import Grants
from engine.mcp.claiming import Claims
from engine.mcp.desk import Desk
from engine.mcp.knowing import Knowledge
from engine.mcp.reporting import Reports
from engine.mcp.work import Doors, Work
from engine.memory.memory import Memory
from engine.model import Tool
from engine.redact import Secrets
from engine.runner.runner import Runner
from engine.store import Store


def desk(
    store: Store,
    hub: Hub,
    settings: Settings,
    agents: Mapping[str, Agent],
    secrets: Secrets,
    memory: Memory,
    personas: Personas,
    grants: Grants,
    runner: Runner,
    doors: Doors,
) -> Desk:
    """The desk of an engine."""
    questions = Questions(store, settings, secrets, runner.waits)
    reports = Reports(store, secrets, runner.reported, doors.hand_off)
    work = Work(store, hub, settings, agents, secrets, doors)
    knowledge = Knowledge(memory, personas, proposes=settings.mcp.proposes)
    handlers: Mapping[Tool, Handler] = {
        Tool.ASK_OPERATOR: questions.ask,
        Tool.REPORT_PROGRESS: reports.report,
        Tool.SUBMIT_JOB: work.submit,
        Tool.JOB_STATUS: work.status,
        Tool.HAND_OFF: reports.hand_off,
        Tool.RECALL: knowledge.recall,
        Tool.REMEMBER: knowledge.remember,
        Tool.CLAIM_DONE: Claims(doors.gate, questions, secrets).claim,
    }
    return Desk(grants, store, secrets, questions, handlers)
