"""Codex CLI 0.169.0: `exec --json`.

Its stream tells little: an `error` is not the end, `turn.completed` tells the total of the thread over all of its
resumes, and a refused write or a shortened conversation is not told at all. What it leaves out is in the rollout.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import time

from engine.rehearsal.players import rollout
from engine.rehearsal.players.bill import TOLD, Call
from engine.rehearsal.players.files import NoSuchFileError, NoSuchTextError, read_file, replace_text, write_file
from engine.rehearsal.players.player import Ended, Player, Run
from engine.rehearsal.players.wire import uuid7

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from engine.rehearsal.players.wire import Json

SHELL = "/bin/bash -lc"  #: as it is told; a rehearsal reads no login profile
NO_NETWORK = "Reconnecting... waiting for network (Connection failed: error sending request)"
NETWORK_PAUSE = 37_000  #: milliseconds between two looks for a network: 8 in 300 s


class Codex(Player):
    """A thread's id is its own. SIGTERM ends it where it stands, and its tools live on."""

    ORDERS = (signal.SIGINT,)

    def __init__(self, scenario: Json, run: Run) -> None:
        super().__init__(scenario, run)
        self.thread = (run.session if run.resumed else None) or uuid7()
        self.items = 0

    def refuse(self, kind: str, words: str) -> NoReturn:
        if kind == "refused":
            self.complain(words or self.shapes["refused"])
            raise Ended(2)
        self.lost(words or f"no rollout found for thread id {self.thread}")

    def lost(self, why: str) -> NoReturn:
        self.complain(f"Error: thread/resume: thread/resume failed: {why} (code -32600)")
        raise Ended(1)

    def begin(self) -> None:
        found = rollout.find(self.run.sessions, self.thread) if self.resumed else None
        if self.resumed and found is None:
            self.refuse("lost", "")
        path = found or rollout.new(self.run.sessions, self.thread)
        try:
            self.record = rollout.Rollout(path, self.thread, self.model, self.cwd, self.now)
        except BlockingIOError:
            self.lost(f"thread {self.thread} already has an active writer")
        if self.resumed:
            self.cached, self.context = self.context, self.context + 1_500
        self.record.begin()
        self.put({"type": "thread.started", "thread_id": self.thread})
        self.put({"type": "turn.started"})

    def settle(self) -> None:
        """The model has answered: the call is on record."""
        if self.open is not None:
            call, self.open = self.open, None
            self.record.used(call, TOLD)

    def item(self, kind: str, item: Json, *, number: int | None = None) -> int:
        if number is None:
            number, self.items = self.items, self.items + 1
        self.put({"type": f"item.{kind}", "item": {"id": f"item_{number}", **item}})
        return number

    def do_say(self, step: Json) -> None:
        self.think(step["tokens"])
        self.said = step["text"]
        self.item("completed", {"type": "agent_message", "text": step["text"]})
        content = [{"type": "Text", "text": step["text"]}]
        self.record.item({"type": "AgentMessage", "id": "msg_" + os.urandom(16).hex(), "content": content})

    def do_think(self, step: Json) -> None:
        """Without summaries nothing of it is shown."""
        self.think(step["tokens"], reasoned=True)

    def do_read(self, step: Json) -> None:
        self.command(f"cat {step['path']}", step["tokens"], 120_000)

    def do_run(self, step: Json) -> None:
        self.command(step["command"], step["tokens"], step["timeout"])

    def command(self, command: str, tokens: int | None, timeout: float) -> None:
        self.think(tokens)
        self.settle()
        shown = {"type": "command_execution", "command": f"{SHELL} {quoted(command)}"}
        number = self.item("started", {**shown, "aggregated_output": "", "exit_code": None, "status": "in_progress"})
        output, code = self.shell(command, timeout)
        output += "\n" if output else ""
        status = "failed" if code else "completed"
        end = {"aggregated_output": output, "exit_code": code, "status": status}
        self.item("completed", {**shown, **end}, number=number)
        self.told(output)

    def do_edit(self, step: Json) -> None:
        self.think(step["tokens"])
        self.settle()
        path = self.path(step)
        try:
            replace_text(path, step["find"], step["replace"])
        except (NoSuchFileError, NoSuchTextError):
            return self.rejected(f"apply_patch verification failed: Failed to find expected lines in {path}")
        return self.changed(path, "update")

    def do_write(self, step: Json) -> None:
        self.think(step["tokens"])
        self.settle()
        path = self.path(step)
        kind = "add" if read_file(path) is None else "update"
        write_file(path, step["text"])
        self.changed(path, kind)

    def changed(self, path: str, kind: str) -> None:
        item: Json = {"type": "file_change", "changes": [{"path": path, "kind": kind}]}
        number = self.item("started", {**item, "status": "in_progress"})
        self.item("completed", {**item, "status": "completed"}, number=number)
        self.told("Success. Updated the following files:")

    def rejected(self, words: str) -> None:
        """A patch that does not fit, or that the sandbox refuses, leaves no event."""
        self.complain(f"ERROR codex_core::tools::router: error={words}")
        self.told(words)

    def do_deny(self, step: Json) -> None:
        """It never asks: what its sandbox refuses leaves no event, and the exit is 0."""
        self.think(step["tokens"])
        self.settle()
        self.rejected(f"{step['tool']} rejected: {step['text']}; rejected by user approval settings")

    def do_retry(self, step: Json) -> None:
        words = self.shapes["retries"].get(str(step["status"]), self.shapes["retries"]["other"])
        for attempt in range(1, step["times"] + 1):
            self.trouble(f"Reconnecting... {attempt}/{max(5, step['times'])} ({words})")
            self.pause(step["delay"] * 2 ** (attempt - 1))

    def trouble(self, words: str) -> None:
        self.put({"type": "error", "message": words})

    def do_limit(self, step: Json) -> None:
        resets = int(self.now()) + max(1, int(step["resets_in"] * self.run.pace))
        self.record.limit(step["window"], step["used"], resets)

    def do_compact(self, step: Json) -> None:
        self.settle()
        self.think(500)
        self.pause(step["takes"])
        self.settle()
        self.record.compacted()
        self.context, self.cached = step["after"], 0

    def fail(self, kind: str, step: Json) -> None:
        self.settle()
        failure = self.shapes["failures"][kind]
        while kind == "connection":
            self.trouble(NO_NETWORK)
            self.pause(NETWORK_PAUSE)
            if not self.run.pace:
                time.sleep(3600)
        if kind == "usage_limit":
            self.do_limit({"used": 1, "window": step["window"], "resets_in": step["resets_in"]})
        words = step["text"] or failure["text"]
        for attempt in range(1, failure.get("reconnects", 0) + 1):
            self.trouble(f"Reconnecting... {attempt}/5 ({words})")
            self.pause(200 * 2**attempt)
        self.trouble(words)
        self.put({"type": "turn.failed", "error": {"message": words}})
        self.record.complete(None, {"message": words, "codex_error_info": failure["info"]})
        raise Ended(1)

    def called(self, call: Call) -> None:
        """Its prompts are cached by the provider, unasked: nothing is charged for the writing."""

    def finish(self) -> None:
        self.settle()
        self.put({"type": "turn.completed", "usage": self.record.thread_usage})
        self.record.complete(self.said, None)

    def stopped(self, number: int) -> int:
        """An interrupt takes its tool along, and says nothing."""
        self.kill_tool()
        return 1


def quoted(command: str) -> str:
    """As the shell would want it in one word; simple words need no quotes."""
    if command and all(char.isalnum() or char in "@%+=:,./-_" for char in command):
        return command
    return "'" + command.replace("'", "'\"'\"'") + "'"
