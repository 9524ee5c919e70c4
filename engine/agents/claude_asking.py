"""Claude Code's control protocol on its standard streams, as far as it asks: `can_use_tool`, and its answers.

`--permission-prompt-tool stdio` with stream-json both ways. Seen in 2.1.197 and 2.1.330: a `control_request` with the
tool's input on standard output, answered by a `control_response` on standard input; a second answer to the same request
is ignored. AskUserQuestion comes the same way, and is answered by its own input with `answers` in it.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from engine.agents.asking import Change, Request, Told
from engine.agents.lines import decode
from engine.decision import CHOICES_MOST, CardKind

QUESTION = "AskUserQuestion"
_SHELLS = frozenset({"Bash", "PowerShell"})

#: Tools of which one field is all that matters to a rule. Of others it is the whole input.
_SUBJECTS = {
    "Read": "file_path",
    "Write": "file_path",
    "Edit": "file_path",
    "MultiEdit": "file_path",
    "NotebookEdit": "notebook_path",
    "WebFetch": "url",
    "WebSearch": "query",
    "Skill": "skill",
}
_PATHS = frozenset({"file_path", "notebook_path"})


class Asked(Struct):
    """The `request` of a `control_request`."""

    subtype: str | None = None
    tool_name: str | None = None
    input: Raw = Raw(b"{}")
    tool_use_id: str | None = None
    decision_reason: Raw = Raw(b"null")


class ControlLine(Struct):
    request_id: str | None = None
    request: Asked | None = None


class Option(Struct):
    label: str = ""


class Question(Struct):
    question: str = ""
    options: list[Option] = msgspec.field(default_factory=list)


class Questions(Struct):
    questions: list[Question] = msgspec.field(default_factory=list)


class Given(Struct):
    """What matters of a shell's or a file tool's input."""

    command: str | None = None
    dangerously_disable_sandbox: bool | None = msgspec.field(default=None, name="dangerouslyDisableSandbox")
    file_path: str | None = None
    content: str | None = None
    old_string: str | None = None
    new_string: str | None = None
    edits: Raw = Raw(b"null")


def read(line: bytes, summary: str, why: str) -> Request | None:
    """The request in a line; None where it is about something else. `summary` and `why` are one line each."""
    control = decode(line, ControlLine)
    asked = control.request if control else None
    if control is None or asked is None or asked.subtype != "can_use_tool" or not control.request_id:
        return None
    tool = asked.tool_name or "?"
    if tool == QUESTION:
        return _question(control.request_id, asked, why)
    reason = decode(asked.decision_reason, str)
    subject, shell, path = _subject(tool, asked.input)
    return Request(
        id=control.request_id,
        kind=CardKind.PERMISSION,
        tool=tool,
        arguments=bytes(asked.input),
        summary=summary,
        subject=subject,
        shell=shell,
        path=path,
        why="; ".join(filter(None, (why, reason))),
        change=_change(asked.input),
        call=asked.tool_use_id or "",
    )


def given(line: bytes) -> Raw:
    """The tool's input in a line."""
    control = decode(line, ControlLine)
    return control.request.input if control and control.request else Raw(b"{}")


def answer(request: Request, told: Told) -> bytes:
    """The line that answers a request."""
    if not told.allow:
        said: dict[str, object] = {"behavior": "deny", "message": told.words}
    elif request.kind is CardKind.QUESTION:
        whole = msgspec.json.decode(request.arguments)
        asked = decode(request.arguments, Questions) or Questions()
        answers = {one.question: told.words for one in asked.questions}
        said = {"behavior": "allow", "updatedInput": {**whole, "answers": answers}}
    else:
        said = {"behavior": "allow", "updatedInput": Raw(request.arguments)}
    response = {"subtype": "success", "request_id": request.id, "response": said}
    return msgspec.json.encode({"type": "control_response", "response": response}) + b"\n"


def first(prompt: str) -> bytes:
    """The line that begins a conversation."""
    content = [{"type": "text", "text": prompt.encode(errors="replace").decode()}]
    return msgspec.json.encode({"type": "user", "message": {"role": "user", "content": content}}) + b"\n"


def _question(name: str, asked: Asked, why: str) -> Request:
    found = (decode(asked.input, Questions) or Questions()).questions
    options = tuple(option.label for option in found[0].options if option.label) if len(found) == 1 else ()
    return Request(
        id=name,
        kind=CardKind.QUESTION,
        tool=QUESTION,
        arguments=bytes(asked.input),
        summary=" / ".join(" ".join(one.question.split()) for one in found) or "a question",
        why=why,
        options=options[:CHOICES_MOST],
        call=asked.tool_use_id or "",
    )


def _subject(tool: str, raw: Raw) -> tuple[str, bool, bool]:
    """What matters of a use; whether it is a command line, and whether a path."""
    if tool in _SHELLS:
        shell = decode(raw, Given)
        if shell is not None and shell.command is not None and not shell.dangerously_disable_sandbox:
            return shell.command, True, False
    name = _SUBJECTS.get(tool)
    values = decode(raw, dict[str, object]) or {}
    found = values.get(name) if name is not None else None
    if isinstance(found, str):
        return found, False, name in _PATHS
    return msgspec.json.encode(values, order="sorted").decode(), False, False


def _change(raw: Raw) -> Change | None:
    one = decode(raw, Given)
    if one is None or one.file_path is None:
        return None
    if one.content is not None:
        return Change(one.file_path, content=one.content)
    several = decode(one.edits, list[Given])
    edits = several if several is not None else [one]
    replaced = tuple((edit.old_string, edit.new_string or "") for edit in edits if edit.old_string is not None)
    return Change(one.file_path, replaced) if replaced else None
