"""opencode 1.18.33: `run --format json`.

It prints a step for each call of the model, and nothing for the end of the run: that is the process' exit. Waiting for
a provider it is silent; a full context it shortens for ever.
"""

from __future__ import annotations

import os
import time

from engine.rehearsal.players.bill import TOLD, Call, dollars
from engine.rehearsal.players.files import NoSuchFileError, NoSuchTextError, read_file, replace_text, write_file
from engine.rehearsal.players.memory import Memory
from engine.rehearsal.players.player import Ended, Player, Run
from engine.rehearsal.players.wire import dumps, named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from engine.rehearsal.players.wire import Json

SUMMARY = "<summary>\nWhat was asked, what is done and what is left.\n</summary>"
CONTINUE = "Continue if you have next steps, or stop and ask for clarification if you are unsure how to proceed."
CIRCLE_PAUSE = 500  #: milliseconds of one round of a run that goes round in circles: 153 in 80 s
UNOFFERED = "Available tools: glob, grep, invalid, read, skill, task, todowrite, write."


class Opencode(Player):
    """Its signals are the kernel's: it ends where it stands, and its tools live on."""

    ORDERS = ()

    def __init__(self, scenario: Json, run: Run) -> None:
        super().__init__(scenario, run)
        self.session = (run.session if run.resumed else None) or named("ses")
        self.memory = Memory(run.sessions, "opencode")
        self.snapshot = os.urandom(20).hex()
        self.message = ""
        self.mute = False

    def refuse(self, kind: str, words: str) -> NoReturn:
        known = {"refused": self.shapes["refused"], "lost": "\x1b[91m\x1b[1mError: \x1b[0mSession not found"}
        self.complain(words or known[kind])
        raise Ended(1)

    def begin(self) -> None:
        """Nothing is told before the model has answered."""
        if not self.resumed:
            return
        before = self.memory.recall(self.session)
        if before is None:
            self.refuse("lost", "")
        elif self.memory.held_elsewhere(self.session):
            self.circle()
        self.mute = before["cwd"] != self.cwd
        self.cached = int(before["context"])
        self.context = self.cached + 1_500

    def circle(self) -> NoReturn:
        """Two runs in one session each answer the other's prompt, for ever."""
        while True:
            self.text("Done.")
            self.settle("stop")
            self.pause(CIRCLE_PAUSE)

    def put(self, line: Json) -> None:
        """From another directory than the session's it works, and prints nothing."""
        if not self.mute:
            super().put(line)

    def event(self, kind: str, **more: Any) -> None:
        self.put({"type": kind, "timestamp": now(), "sessionID": self.session, **more})

    def part(self, kind: str, **facts: Any) -> None:
        ids = {"id": named("prt"), "messageID": self.message, "sessionID": self.session}
        self.event(kind, part={**ids, **facts})

    def called(self, call: Call) -> None:
        self.message = named("msg")
        self.part("step_start", snapshot=self.snapshot, type="step-start")

    def settle(self, reason: str) -> None:
        """The step has ended, and is paid for."""
        call, self.open = self.open, None
        if call is None:
            return
        tokens = {"total": TOLD + call.read + call.written + call.output, "input": TOLD + call.written}
        tokens |= {"output": call.output - call.reasoned, "reasoning": call.reasoned}
        cost = dollars(self.scenario["price"], TOLD + call.written, call.read, 0, call.output)
        facts = {"tokens": {**tokens, "cache": {"write": 0, "read": call.read}}, "cost": cost}
        self.part("step_finish", reason=reason, snapshot=self.snapshot, type="step-finish", **facts)
        self.memory.keep(self.session, {"cwd": self.cwd, "context": self.context})

    def text(self, words: str, tokens: int | None = None) -> None:
        self.think(tokens)
        self.part("text", type="text", text=words, time={"start": now(), "end": now()})

    def do_say(self, step: Json) -> None:
        self.text(step["text"], step["tokens"])

    def do_think(self, step: Json) -> None:
        """It is not shown unless it was asked for."""
        self.think(step["tokens"], reasoned=True)

    def tool(self, name: str, given: Json, began: int, result: Json) -> None:
        """Told when it has finished, the call and its result in one."""
        times = {"time": {"start": began, "end": now()}}
        state = {"status": result.pop("status"), "input": given, **result, **times}
        facts = {"type": "tool", "tool": name, "callID": "call_" + os.urandom(10).hex(), "state": state}
        self.part("tool_use", **facts)
        self.told(result["output"] if "output" in result else result["error"])
        self.settle("tool-calls")

    def do_read(self, step: Json) -> None:
        self.command(f"cat {step['path']}", "Read it", step["tokens"], 120_000)

    def do_run(self, step: Json) -> None:
        self.command(step["command"], step["about"], step["tokens"], step["timeout"])

    def command(self, command: str, about: str, tokens: int | None, timeout: float) -> None:
        self.think(tokens)
        began = now()
        output, code = self.shell(command, timeout)
        output += "\n" if output else ""
        metadata = {"output": output, "exit": code, "truncated": False}
        result = {"status": "completed", "output": output, "metadata": metadata, "title": command}
        self.tool("bash", {"command": command, "description": about}, began, result)

    def do_edit(self, step: Json) -> None:
        """As a model does that likes whole files better than patches."""
        path, began = self.path(step), now()
        self.think(step["tokens"])
        try:
            _, after = replace_text(path, step["find"], step["replace"])
        except (NoSuchFileError, NoSuchTextError) as error:
            missing = isinstance(error, NoSuchFileError)
            words = f"File {path} not found" if missing else "Could not find oldString in the file."
            given = {"filePath": path, "oldString": step["find"], "newString": step["replace"]}
            return self.tool("edit", given, began, {"status": "error", "error": words})
        return self.wrote(path, after, began, exists=True)

    def do_write(self, step: Json) -> None:
        path, began = self.path(step), now()
        self.think(step["tokens"])
        exists = read_file(path) is not None
        write_file(path, step["text"])
        self.wrote(path, step["text"], began, exists=exists)

    def wrote(self, path: str, text: str, began: int, *, exists: bool) -> None:
        metadata = {"diagnostics": {}, "filepath": path, "exists": exists, "truncated": False}
        result = {"status": "completed", "output": "Wrote file successfully.", "metadata": metadata}
        title = path.removeprefix(self.cwd + "/")
        self.tool("write", {"filePath": path, "content": text}, began, {**result, "title": title})

    def do_deny(self, step: Json) -> None:
        """What is forbidden is not offered, and a call of it is an invalid one."""
        self.think(step["tokens"])
        name = step["tool"].lower()
        words = f"Model tried to call unavailable tool '{name}'. {UNOFFERED}"
        told = f"The arguments provided to the tool are invalid: {words}"
        result = {"status": "completed", "output": told, "metadata": {"truncated": False}, "title": "Invalid Tool"}
        self.tool("invalid", {"tool": name, "error": words}, now(), result)

    def do_retry(self, step: Json) -> None:
        """In silence. Only a stream that broke shows: the step begins once more."""
        if step["status"] is None:
            self.think(1)
            self.open = None
        for attempt in range(step["times"]):
            self.pause(step["delay"] * 2**attempt)

    def do_limit(self, step: Json) -> None:
        """It knows of no windows."""

    def do_compact(self, step: Json) -> None:
        self.settle("tool-calls")
        self.pause(step["takes"])
        self.compact(step["after"], CONTINUE)

    def compact(self, after: int, words: str) -> None:
        """No event of its own: the summary, and words in the user's place."""
        self.text(SUMMARY)
        self.settle("stop")
        self.message = named("msg")
        facts = {"type": "text", "metadata": {"compaction_continue": True}, "synthetic": True, "text": words}
        self.part("text", **facts, time={"start": now(), "end": now()})
        self.context, self.cached = after, 0

    def fail(self, kind: str, step: Json) -> None:
        if kind == "usage_limit":
            self.wait(step)
        failure = self.shapes["failures"][kind]
        while kind == "context":
            self.error(failure, step["text"])
            self.compact(6_000, CONTINUE)
            self.pause(CIRCLE_PAUSE)
        self.pause(failure.get("silence", 0))
        self.error(failure, step["text"])
        raise Ended(1)

    def wait(self, step: Json) -> None:
        """It sleeps through a limit, however long that is, without a word; then it goes on."""
        self.pause(step["resets_in"] * 1000)
        if self.scenario["resumed"] and not self.resumed:
            self.perform(self.scenario["resumed"])
            self.finish()
            raise Ended(0)

    def error(self, failure: Json, words: str) -> None:
        data = {"message": words or failure["message"], **failure.get("data", {})}
        if body := failure.get("body"):
            text = dumps({"error": {"message": data["message"], **body}}).decode()
            if "statusCode" in data:
                headers = {"content-length": str(len(text)), "content-type": "application/json"}
                data["responseHeaders"] = headers
            data["responseBody"] = text
        if failure["name"] == "APIError":
            data["metadata"] = {"url": "http://rehearsal.invalid/v1/chat/completions"}
        self.event("error", error={"name": failure["name"], "data": data})

    def finish(self) -> None:
        if self.open is None:
            self.think(1)
        self.settle("stop")
        while self.mute:
            time.sleep(3600)


def now() -> int:
    return int(time.time() * 1000)
