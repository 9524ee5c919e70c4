"""The tools that agents are offered: one table of names, words and arguments. Pure.

The words stand in every prompt of every agent, so they are few.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, structs

from engine.hand_off import HandOff
from engine.model import Tool

#: When to use which, where the agent is told of the server as a whole.
_WHEN = {
    Tool.ASK_OPERATOR: "when you cannot know or may not decide (it waits for a person)",
    Tool.REPORT_PROGRESS: "at each milestone",
    Tool.CLAIM_DONE: "before you say that you are done",
    Tool.HAND_OFF: "before you stop early",
}

Id = Annotated[int, Meta(ge=1, le=(1 << 53))]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class _Arguments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all of them are."""


class AskOperator(_Arguments, frozen=True):
    question: Annotated[str, Meta(min_length=1, max_length=2_000)]
    options: Annotated[tuple[Name, ...], Meta(max_length=12)] = ()
    why: Annotated[str, Meta(max_length=1_000)] = ""


class ReportProgress(_Arguments, frozen=True):
    message: Annotated[str, Meta(min_length=1, max_length=500)]
    percent: Annotated[float, Meta(ge=0, le=100)] | None = None


class SubmitJob(_Arguments, frozen=True):
    prompt: Annotated[str, Meta(min_length=1, max_length=50_000)]
    title: Name | None = None
    agent: Name | None = None
    model: Name | None = None
    route: Name | None = None
    after: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()


class JobStatus(_Arguments, frozen=True):
    job: Id | None = None
    wait_seconds: Annotated[int, Meta(ge=0, le=600)] = 0


class Recall(_Arguments, frozen=True):
    query: Annotated[str, Meta(min_length=1, max_length=2_000)]
    tokens: Annotated[int, Meta(ge=100, le=4_000)] = 800


class Remember(_Arguments, frozen=True):
    text: Annotated[str, Meta(min_length=1, max_length=2_000)]
    kind: Literal["fact", "decision", "preference", "procedure"] = "fact"
    evidence: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=500)], ...], Meta(max_length=20)] = ()


class ClaimDone(_Arguments, frozen=True):
    summary: Annotated[str, Meta(max_length=4_000)] = ""


Arguments = AskOperator | ReportProgress | SubmitJob | JobStatus | Recall | Remember | HandOff | ClaimDone

#: What each takes.
TAKES: dict[Tool, type[Arguments]] = {
    Tool.ASK_OPERATOR: AskOperator,
    Tool.REPORT_PROGRESS: ReportProgress,
    Tool.SUBMIT_JOB: SubmitJob,
    Tool.JOB_STATUS: JobStatus,
    Tool.RECALL: Recall,
    Tool.REMEMBER: Remember,
    Tool.HAND_OFF: HandOff,
    Tool.CLAIM_DONE: ClaimDone,
}

_WORDS: dict[Tool, str] = {
    Tool.ASK_OPERATOR: "Ask the person who runs this job, and wait for the answer. Only for what you cannot find out "
    "or may not decide yourself.",
    Tool.REPORT_PROGRESS: "Say in one line how far you are. The operator sees it.",
    Tool.SUBMIT_JOB: "Submit a job for another agent, in this project. It runs by itself, in a workspace of its own; "
    "its money is this job's. Returns its number.",
    Tool.JOB_STATUS: "How this job stands, or one that it submitted, with its result. wait_seconds waits for its end.",
    Tool.RECALL: "Search what is remembered of this project.",
    Tool.REMEMBER: "Remember one thing of this project for later jobs: what is true or was decided, not what you do.",
    Tool.HAND_OFF: "Leave the state of the work for the session that goes on with it: before you stop early, or when "
    "your context runs short.",
    Tool.CLAIM_DONE: "Say that the task is done. It is checked; what is found wrong comes back, to be mended.",
}
_TEXT = {"type": "string"}
_LINES = {"type": "array", "items": _TEXT}
_PROPERTIES: dict[Tool, dict[str, Any]] = {
    Tool.ASK_OPERATOR: {
        "question": _TEXT,
        "options": {**_LINES, "description": "Answers to choose from; others may be given."},
        "why": {**_TEXT, "description": "What hangs on it."},
    },
    Tool.REPORT_PROGRESS: {"message": _TEXT, "percent": {"type": "number", "minimum": 0, "maximum": 100}},
    Tool.SUBMIT_JOB: {
        "prompt": {**_TEXT, "description": "The whole task: the other agent knows nothing of this one."},
        "title": _TEXT,
        "agent": _TEXT,
        "model": _TEXT,
        "route": _TEXT,
        "after": {"type": "array", "items": {"type": "integer"}, "description": "Jobs of yours that come first."},
    },
    Tool.JOB_STATUS: {
        "job": {"type": "integer", "description": "One that you submitted; else your own."},
        "wait_seconds": {"type": "integer", "minimum": 0, "maximum": 600},
    },
    Tool.RECALL: {"query": _TEXT, "tokens": {"type": "integer", "minimum": 100, "maximum": 4_000}},
    Tool.REMEMBER: {
        "text": _TEXT,
        "kind": {"type": "string", "enum": ["fact", "decision", "preference", "procedure"]},
        "evidence": {**_LINES, "description": "Where one can see it: file:line, a commit."},
    },
    Tool.HAND_OFF: {
        "goal": _TEXT,
        "state": _TEXT,
        "done": {
            "type": "array",
            "items": {"type": "object", "properties": {"what": _TEXT, "proof": _TEXT}, "required": ["what"]},
        },
        "next": _LINES,
        "traps": _LINES,
    },
    Tool.CLAIM_DONE: {"summary": _TEXT},
}
_READ_ONLY = frozenset({Tool.JOB_STATUS, Tool.RECALL})

#: Those that wait for a person, or for other work.
WAITS = (Tool.ASK_OPERATOR, Tool.JOB_STATUS, Tool.CLAIM_DONE)


def instructions(tools: Collection[Tool]) -> str:
    """What the tools are for, in one line."""
    when = ", ".join(f"{tool} {words}" for tool, words in _WHEN.items() if tool in tools)
    return f"Headway runs this job. Its tools: {when}." if when else "Headway runs this job."


def described(tool: Tool) -> dict[str, Any]:
    """A tool as `tools/list` tells it."""
    given = [one.name for one in structs.fields(TAKES[tool]) if one.required]
    schema = {"type": "object", "properties": _PROPERTIES[tool], "additionalProperties": False}
    return {
        "name": tool.value,
        "description": _WORDS[tool],
        "inputSchema": {**schema, **({"required": given} if given else {})},
        # Nothing of it leaves this machine, and nothing is destroyed: clients that look at this need not ask.
        "annotations": {"readOnlyHint": tool in _READ_ONLY, "destructiveHint": False, "openWorldHint": False},
    }
