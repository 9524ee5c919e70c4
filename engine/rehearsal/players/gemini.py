"""Gemini CLI 0.61.0: `-o stream-json`.

It reads its prompt from standard input and says it again. Its exit code is the provider's HTTP status, which wraps at
256; on a signal it exits 0 without a result; waiting for the provider it is silent.
"""

from __future__ import annotations

import os
import time

from engine.rehearsal.players.bill import TOLD, Call
from engine.rehearsal.players.files import NoSuchFileError, NoSuchTextError, replace_text, write_file
from engine.rehearsal.players.memory import Memory
from engine.rehearsal.players.player import Ended, Player, Run
from engine.rehearsal.players.wire import timestamp, uuid4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from engine.rehearsal.players.wire import Json

TOOLS = {"Bash": "run_shell_command", "Write": "write_file", "Edit": "replace", "Read": "read_file"}
NO_SESSION = 42


class Gemini(Player):
    def __init__(self, scenario: Json, run: Run) -> None:
        super().__init__(scenario, run)
        self.session = run.session or uuid4()
        self.memory = Memory(run.sessions, "gemini")
        self.input = self.cached_input = self.output = self.thoughts = self.calls = 0

    def refuse(self, kind: str, words: str) -> NoReturn:
        if kind == "refused":
            self.complain(words or self.shapes["refused"])
            raise Ended(1)
        self.complain(words or "Error resuming session: No previous sessions found for this project.")
        raise Ended(NO_SESSION)

    def begin(self) -> None:
        """It only knows the sessions of its own directory."""
        before = self.memory.recall(self.session)
        if self.resumed:
            if before is None or before["cwd"] != self.cwd:
                self.refuse("lost", "")
            self.cached = int(before["context"])
            self.context = self.cached + 1_500
        elif before is not None:
            self.complain(f"Error starting session: Session ID {self.session} is already in use.")
            raise Ended(NO_SESSION)
        self.event("init", session_id=self.session, model=self.model)
        self.event("message", role="user", content=self.prompt())
        self.memory.keep(self.session, {"cwd": self.cwd, "context": self.context})

    def prompt(self) -> str:
        """All of standard input, which is never a terminal here."""
        told = b""
        while chunk := os.read(0, 65536):
            told += chunk
        return told.decode(errors="replace")

    def event(self, kind: str, **facts: Any) -> None:
        self.put({"type": kind, "timestamp": timestamp(), **facts})

    def called(self, call: Call) -> None:
        """Its prompts are cached by the provider, unasked: nothing is charged for the writing."""

    def settle(self) -> None:
        call, self.open = self.open, None
        if call is None:
            return
        self.input += TOLD + call.read + call.written
        self.cached_input += call.read
        self.output += call.output - call.reasoned
        self.thoughts += call.reasoned
        self.memory.keep(self.session, {"cwd": self.cwd, "context": self.context})

    def do_say(self, step: Json) -> None:
        """An answer comes in pieces."""
        self.think(step["tokens"])
        text = step["text"]
        half = text.find(" ", len(text) // 2) + 1
        for piece in (text[:half], text[half:]):
            if piece:
                self.event("message", role="assistant", content=piece, delta=True)

    def do_think(self, step: Json) -> None:
        """Not shown; of its tokens only the total knows."""
        self.think(step["tokens"], reasoned=True)

    def use(self, name: str, given: Json, tokens: int | None) -> str:
        self.think(tokens)
        self.settle()
        self.calls += 1
        tool = f"{name}__{os.urandom(6).hex()}"
        self.event("tool_use", tool_name=name, tool_id=tool, parameters=given)
        return tool

    def used(self, tool: str, output: str) -> None:
        self.event("tool_result", tool_id=tool, status="success", **({"output": output} if output else {}))
        self.told(output)

    def failed(self, tool: str, kind: str, words: str) -> None:
        error = {"type": kind, "message": words}
        self.event("tool_result", tool_id=tool, status="error", output=words, error=error)
        self.told(words)

    def do_read(self, step: Json) -> None:
        self.command(f"cat {step['path']}", "Read it", step["tokens"], 120_000)

    def do_run(self, step: Json) -> None:
        self.command(step["command"], step["about"], step["tokens"], step["timeout"])

    def command(self, command: str, about: str, tokens: int | None, timeout: float) -> None:
        tool = self.use("run_shell_command", {"command": command, "description": about}, tokens)
        output, _ = self.shell(command, timeout)
        self.used(tool, output)

    def do_edit(self, step: Json) -> None:
        path = self.path(step)
        given = {"file_path": path, "old_string": step["find"], "new_string": step["replace"]}
        tool = self.use("replace", given, step["tokens"])
        try:
            replace_text(path, step["find"], step["replace"])
        except NoSuchFileError:
            return self.failed(tool, "file_not_found", f"File not found: {path}")
        except NoSuchTextError:
            return self.failed(tool, "edit_no_occurrence_found", "Failed to edit: no string to replace.")
        return self.used(tool, "")

    def do_write(self, step: Json) -> None:
        path = self.path(step)
        tool = self.use("write_file", {"file_path": path, "content": step["text"]}, step["tokens"])
        write_file(path, step["text"])
        self.used(tool, "")

    def do_deny(self, step: Json) -> None:
        """What needs to be asked for is not offered without anybody to ask."""
        name = TOOLS.get(step["tool"]) or str(step["tool"])
        tool = self.use(name, step["input"], step["tokens"])
        words = f'Tool "{name}" not found. Did you mean one of: "update_topic", "grep_search", "replace"?'
        self.failed(tool, "tool_not_registered", words)

    def do_retry(self, step: Json) -> None:
        status = "" if step["status"] is None else f" with status {step['status']}"
        for attempt in range(1, step["times"] + 1):
            self.complain(f"Attempt {attempt} failed{status}. Retrying with backoff... {step['error']}")
            self.pause(step["delay"] * 2 ** (attempt - 1))

    def do_limit(self, step: Json) -> None:
        """It tells no windows."""

    def do_compact(self, step: Json) -> None:
        """No event: only the tokens of it."""
        self.settle()
        self.think(500)
        self.pause(step["takes"])
        self.settle()
        self.context, self.cached = step["after"], 0

    def fail(self, kind: str, step: Json) -> None:
        self.settle()
        failure = self.shapes["failures"][kind]
        while kind == "connection":
            self.complain("Attempt 1 failed. Retrying with backoff... Error: exception TypeError: fetch failed")
            time.sleep(3600)
        self.pause(failure.get("silence", 0))
        words = step["text"] and failure["frame"].replace("{}", step["text"])
        error = {"type": failure.get("type", "unknown"), "message": words or failure["message"]}
        self.result("error", 0, error=error)
        raise Ended(failure["exit"])

    def result(self, status: str, took: int, **error: Any) -> None:
        tokens = {
            "total_tokens": self.input + self.output + self.thoughts,
            "input_tokens": self.input,
            "output_tokens": self.output,
            "cached": self.cached_input,
            "input": self.input - self.cached_input,
        }
        stats = {**tokens, "duration_ms": took, "tool_calls": self.calls, "models": {self.model: tokens}}
        self.event("result", status=status, **error, stats=stats)

    def finish(self) -> None:
        self.settle()
        self.result("success", int((time.monotonic() - self.began) * 1000))

    def stopped(self, number: int) -> int:
        """It exits 0, as if all were well, and its tools live on."""
        return 0
