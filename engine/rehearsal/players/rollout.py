"""Codex's own record of a thread, `sessions/YYYY/MM/DD/rollout-<time>-<thread>.jsonl`.

Alone in it are the windows, the class of a failure, what each turn used, and that the conversation was shortened.
"""
# pathlib would cost half the start:
# ruff: noqa: PTH103, PTH118

from __future__ import annotations

import fcntl
import os
import time

from engine.rehearsal.players import VERSION
from engine.rehearsal.players.wire import dumps, loads, timestamp, uuid7, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.rehearsal.players.bill import Call
    from engine.rehearsal.players.wire import Json

WINDOW = 258_400  #: tokens of the model's context
TOKENS = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens", "reasoning_output_tokens")


class Rollout:
    """The record that this turn is written into. Raises `OSError`: one writer at a time."""

    def __init__(
        self, path: str | None, thread: str, model: str, cwd: str, now: Callable[[], float] = time.time
    ) -> None:
        self.thread, self.model, self.cwd, self.now = thread, model, cwd, now
        self.turn = uuid7()
        self.began = now()
        self.ordinal = 0
        self.turn_usage, self.thread_usage = dict.fromkeys(TOKENS, 0), dict.fromkeys(TOKENS, 0)
        self.last = dict.fromkeys(TOKENS, 0)
        self.windows: Json = {"primary": None, "secondary": None}
        self.file = -1
        if path is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH120
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._go_on()

    def _go_on(self) -> None:
        """The thread's total as its newest record told it."""
        with open(self.file, encoding="utf-8", errors="replace", closefd=False) as file:
            for line in file:
                self.ordinal += 1
                if '"type":"token_usage_record"' in line and line.endswith("\n"):
                    used = loads(line)["payload"]["thread_token_usage"]
                    self.thread_usage = {key: used[key] for key in TOKENS}

    def put(self, kind: str, payload: Json) -> None:
        if self.file < 0:
            return
        line = {"timestamp": timestamp(), "ordinal": self.ordinal, "type": kind, "payload": payload}
        write(self.file, dumps(line) + b"\n")
        self.ordinal += 1

    def event(self, kind: str, **facts: object) -> None:
        self.put("event_msg", {"type": kind, **facts})

    def begin(self) -> None:
        if not self.ordinal:
            ids = {"id": self.thread, "session_id": self.thread, "cwd": self.cwd}
            self.put("session_meta", {**ids, "originator": "codex_exec", "cli_version": VERSION, "source": "exec"})
        turn = {"turn_id": self.turn, "root_turn_id": self.turn, "started_at": int(self.began)}
        self.event("task_started", **turn, model_context_window=WINDOW, collaboration_mode_kind="default")
        context = {"turn_id": self.turn, "cwd": self.cwd, "approval_policy": "never", "model": self.model}
        self.put("turn_context", context)

    def item(self, item: Json) -> None:
        now = int(self.now() * 1000)
        times = {"started_at_ms": now, "completed_at_ms": now}
        self.event("item_completed", thread_id=self.thread, turn_id=self.turn, item=item, **times)

    def used(self, call: Call, told: int) -> None:
        """One call of the model."""
        self.last = {
            "input_tokens": told + call.read + call.written,
            "cached_input_tokens": call.read,
            "cache_write_input_tokens": 0,
            "output_tokens": call.output,
            "reasoning_output_tokens": call.reasoned,
        }
        for sums in (self.turn_usage, self.thread_usage):
            for key, tokens in self.last.items():
                sums[key] += tokens
        ids = {"thread_id": self.thread, "turn_id": self.turn, "session_id": self.thread, "root_turn_id": self.turn}
        usage = {"usage": total(self.last), "turn_token_usage": total(self.turn_usage)}
        usage["thread_token_usage"] = total(self.thread_usage)
        self.put("token_usage_record", {**ids, "response_id": "resp_" + os.urandom(16).hex(), **usage})
        self.counted()

    def counted(self) -> None:
        """The windows as the newest answer told them, beside the sums."""
        info = {
            "total_token_usage": total(self.thread_usage),
            "last_token_usage": total(self.last),
            "last_usage_includes_reasoning": False,
            "model_context_window": WINDOW,
        }
        nothing = dict.fromkeys(("credits", "individual_limit", "spend_control_reached", "plan_type"))
        limits = {"limit_id": "codex", "limit_name": None, **self.windows, **nothing, "rate_limit_reached_type": None}
        self.event("token_count", info=info, rate_limits=limits)

    def limit(self, window: str, used: float, resets_at: int) -> None:
        now = int(self.now())
        for name, minutes, hours in (("primary", 300, 3), ("secondary", 10_080, 110)):
            if self.windows[name] is None:
                self.windows[name] = {"used_percent": 21.0, "window_minutes": minutes, "resets_at": now + hours * 3600}
        name = "primary" if window == "five_hour" else "secondary"
        self.windows[name] = {**self.windows[name], "used_percent": round(used * 100.0, 1), "resets_at": resets_at}
        self.counted()

    def compacted(self) -> None:
        self.put("compacted", {"message": "Another language model started to solve this problem."})
        self.item({"type": "ContextCompaction", "id": uuid7()})

    def close(self) -> None:
        """Let it go: for who goes on living after the turn."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def complete(self, said: str | None, error: Json | None) -> None:
        now = self.now()
        facts: Json = {"root_turn_id": self.turn, "turn_id": self.turn, "last_agent_message": said}
        facts |= {"error": error} if error is not None else {}
        facts |= {"started_at": int(self.began), "completed_at": int(now)}
        self.event("task_complete", **facts, duration_ms=int((now - self.began) * 1000))


def total(tokens: Json) -> Json:
    return {**tokens, "total_tokens": tokens["input_tokens"] + tokens["output_tokens"]}


def find(sessions: str | None, thread: str) -> str | None:
    """The record of a thread, whenever it was begun."""
    for folder, _, names in os.walk(os.path.join(sessions, "sessions")) if sessions else ():
        for name in names:
            if name.endswith(f"-{thread}.jsonl"):
                return os.path.join(folder, name)
    return None


def new(sessions: str | None, thread: str) -> str | None:
    if sessions is None:
        return None
    now = time.gmtime()
    day = time.strftime("%Y/%m/%d", now)
    name = f"rollout-{time.strftime('%Y-%m-%dT%H-%M-%S', now)}-{thread}.jsonl"
    return os.path.join(sessions, "sessions", day, name)
