"""A stand-in for Claude Code: plays a scenario and prints what the real one would print.

One file, standard library only, run as `python -I -S agent.py --scenario FILE (--session-id UUID | --resume UUID)`.
It edits files and runs commands in its working directory for real; only the model is made up. The stream is that of
claude 2.1.330, held against recordings by a test. HEADWAY_REHEARSAL_SPEED 2 plays at twice the speed, 0 without pauses.
"""
# pathlib would cost half the start:
# ruff: noqa: PTH103, PTH109, PTH118, PTH120, PTH123

from __future__ import annotations

# A fleet starts hundreds of these at once. `json`, `signal` and `subprocess` would bring `re`, `enum` and `threading`
# and double the time to start; the C modules beneath them do the same work.
import _json
import _signal as signal  # type: ignore[import-not-found]
import os
import sys
import time
from select import poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

OUTPUT_LIMIT = 30_000  #: characters of a command's output that the model is told
CONTEXT_LINES = 3  #: unchanged lines around a change in a patch
ANSWER = 180  #: tokens of a block where the scenario gives none


class Stopped(Exception):  # noqa: N818 - no error, an order
    """A signal asked for the end."""


class Ended(Exception):  # noqa: N818
    """The run is over, with this exit code."""


class Rules:
    """What the scanner under the json module asks of its decoder."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float
    memo: Json = {}  # noqa: RUF012 - the scanner empties it


def loads(text: str) -> Json:
    value: Json = _json.make_scanner(Rules())(text, 0)[0]  # type: ignore[arg-type]
    return value


def dumps(value: object) -> bytes:
    encode = _json.make_encoder(None, str, _json.encode_basestring_ascii, None, ":", ",", False, False, False)
    return "".join(encode(value, 0)).encode()


def uuid() -> str:
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def write_file(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read_file(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def patch(before: str, after: str) -> list[Json]:
    """`structuredPatch`: one hunk from the first changed line to the last."""
    old, new = before.splitlines(), after.splitlines()
    shorter = min(len(old), len(new))
    start = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    end = next((n for n in range(shorter - start) if old[-1 - n] != new[-1 - n]), shorter - start)
    gone, come = old[start : len(old) - end], new[start : len(new) - end]
    if not gone and not come:
        return []
    first = max(0, start - CONTEXT_LINES)
    head, tail = old[first:start], old[len(old) - end :][:CONTEXT_LINES]
    lines = [" " + x for x in head] + ["-" + x for x in gone] + ["+" + x for x in come] + [" " + x for x in tail]
    hunk: Json = {"oldStart": first + 1, "oldLines": len(head) + len(gone) + len(tail), "newStart": first + 1}
    return [{**hunk, "newLines": len(head) + len(come) + len(tail), "lines": lines}]


class Bill:
    """Tokens of the run, and their price."""

    def __init__(self, scenario: Json) -> None:
        self.price, self.shape = scenario["price"], scenario["stream"]["model_usage"]
        self.input = self.output = self.read = self.written = 0

    def call(self, read: int, written: int, output: int = 0) -> None:
        self.input, self.output = self.input + 12, self.output + output
        self.read, self.written = self.read + read, self.written + written

    def cost(self) -> float:
        """Dollars; prices are for a million tokens."""
        price = self.price
        told = self.input * price["input"] + self.read * price["cache_read"] + self.written * price["cache_write"]
        return float(round((told + self.output * price["output"]) / 1e6, 6))

    def model_usage(self) -> Json:
        tokens = {"inputTokens": self.input, "outputTokens": self.output, "cacheReadInputTokens": self.read}
        tokens |= {"cacheCreationInputTokens": self.written, "cacheCreationEphemeral5mInputTokens": self.written}
        return {**tokens, "costUSD": self.cost(), **self.shape}

    def usage(self) -> Json:
        return api_usage(self.input, self.output, self.read, self.written)


def api_usage(told: int, output: int, read: int, written: int) -> Json:
    usage: Json = {"input_tokens": told, "output_tokens": output, "cache_read_input_tokens": read}
    parts = {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0}
    return {**usage, "cache_creation_input_tokens": written, "cache_creation": parts, "service_tier": "standard"}


class Agent:
    """One run of a scenario."""

    def __init__(self, scenario: Json, session: str, resumed: bool, model: str | None, pace: float) -> None:
        self.scenario, self.session, self.pace = scenario, session, pace
        self.shapes: Json = scenario["stream"]
        self.steps: list[Json] = (scenario["resumed"] if resumed else []) or scenario["steps"]
        self.model = model or scenario["model"]
        self.cwd = os.getcwd()
        self.began = time.monotonic()
        self.bill, self.total = Bill(scenario), Bill(scenario)
        self.context = scenario["context"]
        self.cached = 0
        if resumed:  # the totals of a session go on; the history comes from the cache
            self.total.call(0, self.context, 600)
            self.cached, self.context = self.context, self.context + 1_500
        self.message, self.said, self.turns = "", "", 1
        self.usage: Json = {}
        self.denials: list[Json] = []
        self.windows: Json = {}
        self.tool: tuple[str, int] | None = None

    def put(self, line: Json) -> None:
        data = dumps(line) + b"\n"
        while data:
            data = data[os.write(1, data) :]

    def system(self, subtype: str, **more: Any) -> None:
        line = {"type": "system", "subtype": subtype, **more, "session_id": self.session, "uuid": uuid()}
        self.put(line)

    def stamps(self) -> Json:
        now = time.time()
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        return {"parent_tool_use_id": None, "session_id": self.session, "uuid": uuid(), "timestamp": at}

    def pause(self, ms: float) -> None:
        if ms and self.pace:
            time.sleep(ms * self.pace / 1000)

    def start(self) -> None:
        """What comes before the first step: a refusal, a session that is not there, or the first line."""
        first = self.steps[0]
        kind = first["kind"] if first["do"] == "fail" else None
        if kind in ("refused", "lost"):
            known = {
                "refused": "error: unknown option",
                "lost": f"No conversation found with session ID: {self.session}",
            }
            words = first["text"] or known[kind]
            os.write(2, words.encode() + b"\n")
            if kind == "lost":
                line = {**self.shapes["not_started"], "usage": self.bill.usage(), "errors": [words]}
                self.put({**line, "session_id": self.session, "uuid": uuid()})
            raise Ended(1)
        if not [name for name in os.listdir() if name != ".git"]:
            for path, text in self.scenario["files"].items():
                write_file(path, text)
        here = {"cwd": self.cwd, "original_cwd": self.cwd, "session_id": self.session, "uuid": uuid()}
        self.put({**self.shapes["init"], **here, "model": self.model})

    def block(self, block: Json, tokens: int | None) -> None:
        """One block of an answer. The first after a tool's result is a new call of the model."""
        if not self.message:
            self.message = "msg_" + os.urandom(10).hex()
            written = max(0, self.context - self.cached)
            self.usage = api_usage(12, 1, self.cached, written)
            for bill in (self.bill, self.total):
                bill.call(self.cached, written)
            self.cached = self.context
        output = tokens or ANSWER
        self.bill.output, self.total.output = self.bill.output + output, self.total.output + output
        self.context += output
        message = {"id": self.message, "model": self.model, "content": [block], "usage": self.usage}
        line = {"type": "assistant", "message": {**self.shapes["message"], **message}, **self.stamps()}
        self.put({**line, "request_id": "req_" + os.urandom(9).hex()})

    def call(self, name: str, given: Json, step: Json) -> str:
        tool = "toolu_" + os.urandom(9).hex()
        self.block({"type": "tool_use", "id": tool, "name": name, "input": given}, step["tokens"])
        return tool

    def answer(self, tool: str, content: str, detail: object, ok: bool | None = None, reason: str = "mode") -> None:
        """A tool's result. `ok` None leaves the flag out, as the file tools do."""
        flag = {} if ok is None else {"is_error": not ok}
        result = {"tool_use_id": tool, "type": "tool_result", "content": content, **flag}
        decision = {"decision": "accept", "source": "config", "reason_type": reason}
        line = {"type": "user", "message": {"role": "user", "content": [result]}, **self.stamps()}
        meta = [{"id": tool, "permission_decision": decision}]
        self.put({**line, "tool_use_result": detail, "tool_result_meta": meta})
        self.turns, self.message = self.turns + 1, ""
        self.context += len(content) // 4 + 40

    def failed(self, tool: str, words: str) -> None:
        self.answer(tool, f"<tool_use_error>{words}</tool_use_error>", f"Error: {words}", False)

    def do_say(self, step: Json) -> None:
        self.block({"type": "text", "text": step["text"]}, step["tokens"])
        self.said = step["text"]

    def do_think(self, step: Json) -> None:
        self.block({"type": "thinking", "thinking": step["text"], "signature": ""}, step["tokens"])

    def do_read(self, step: Json) -> None:
        path = os.path.join(self.cwd, step["path"])
        tool = self.call("Read", {"file_path": path}, step)
        text = read_file(path)
        if text is None:
            return self.failed(tool, "File does not exist.")
        lines = text.split("\n")
        shown = "\n".join(f"{n}\t{line}" for n, line in enumerate(lines, 1))
        facts = {"filePath": path, "content": text, "numLines": len(lines), "startLine": 1, "totalLines": len(lines)}
        return self.answer(tool, shown[:OUTPUT_LIMIT], {"type": "text", "file": facts})

    def do_edit(self, step: Json) -> None:
        path, old, new = os.path.join(self.cwd, step["path"]), step["find"], step["replace"]
        given = {"replace_all": False, "file_path": path, "old_string": old, "new_string": new}
        tool = self.call("Edit", given, step)
        before = read_file(path)
        if before is None:
            return self.failed(tool, "File does not exist.")
        if old not in before:
            return self.failed(tool, "String to replace not found in file.")
        after = before.replace(old, new, 1)
        write_file(path, after)
        detail = {"filePath": path, "oldString": old, "newString": new, "originalFile": before}
        more = {"structuredPatch": patch(before, after), "userModified": False, "replaceAll": False}
        return self.answer(tool, f"The file {path} has been updated successfully.", {**detail, **more})

    def do_write(self, step: Json) -> None:
        path, text = os.path.join(self.cwd, step["path"]), step["text"]
        tool = self.call("Write", {"file_path": path, "content": text}, step)
        before = read_file(path)
        write_file(path, text)
        detail = {"filePath": path, "content": text, "originalFile": before, "userModified": False}
        if before is None:
            kind, words = "create", f"File created successfully at: {path}"
        else:
            kind, words = "update", f"The file {path} has been updated successfully."
        hunks = [] if before is None else patch(before, text)
        self.answer(tool, words, {"type": kind, "structuredPatch": hunks, **detail})

    def do_run(self, step: Json) -> None:
        tool = self.call("Bash", {"command": step["command"], "description": step["about"]}, step)
        output, code = self.shell(tool, step["command"], step["timeout"])
        if code == 0:
            flags = {"interrupted": False, "isImage": False, "noOutputExpected": False}
            return self.answer(tool, output, {"stdout": output, "stderr": "", **flags}, True, "rule")
        words = f"Exit code {code}\n{output}".rstrip()
        return self.answer(tool, words, f"Error: {words}", False, "rule")

    def shell(self, tool: str, command: str, timeout: float) -> tuple[str, int]:
        """Run a command in a session of its own, as claude does. Returns what it printed and its exit code."""
        inner, outer = os.pipe()
        files = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, outer, 1),
            (os.POSIX_SPAWN_DUP2, outer, 2),
        ]
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", command], os.environ, file_actions=files, setsid=True)
        self.tool = tool, pid
        os.close(outer)
        output, note, ends = b"", "", time.monotonic() + timeout / 1000
        ready = poll()
        ready.register(inner)
        while ready.poll(max(0.0, (ends - time.monotonic()) * 1000)):
            chunk = os.read(inner, 65536)
            if not chunk:
                break
            output = (output + chunk)[: 4 * OUTPUT_LIMIT]
        else:
            note = f"\nCommand timed out after {timeout / 1000:g}s"
            os.killpg(pid, signal.SIGTERM)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.tool = None
        os.close(inner)
        text = output.decode(errors="replace")[:OUTPUT_LIMIT].rstrip("\n")
        return text + note, code if code >= 0 else 128 - code

    def do_deny(self, step: Json) -> None:
        tool, words = self.call(step["tool"], step["input"], step), step["text"]
        self.system("permission_denied", tool_name=step["tool"], tool_use_id=tool, message=words)
        self.denials.append({"tool_name": step["tool"], "tool_use_id": tool, "tool_input": step["input"]})
        self.answer(tool, words, f"Error: {words}", False)

    def do_retry(self, step: Json) -> None:
        for attempt in range(1, step["times"] + 1):
            delay = step["delay"] * 2 ** (attempt - 1)
            facts = {"attempt": attempt, "max_retries": max(2, step["times"]), "retry_delay_ms": delay}
            self.system("api_retry", **facts, error_status=step["status"], error=step["error"])
            self.pause(delay)

    def do_limit(self, step: Json) -> None:
        now, used = int(time.time()), step["used"]
        status = "rejected" if used >= 1 else "allowed_warning" if used >= 0.75 else "allowed"
        resets = now + max(1, int(step["resets_in"] * self.pace))
        if not self.windows:
            for name, hours in (("five_hour", 3), ("seven_day", 110)):
                self.windows[name] = {"utilization": 0.21, "resetsAt": now + hours * 3600, "status": "allowed"}
        self.windows[step["window"]] = {"utilization": used, "resetsAt": resets, "status": status}
        info = {"status": status, "resetsAt": resets, "rateLimitType": step["window"], "isUsingOverage": False}
        line = {"type": "rate_limit_event", "rate_limit_info": {**info, "unifiedWindows": self.windows}}
        self.put({**line, "uuid": uuid(), "session_id": self.session})

    def do_compact(self, step: Json) -> None:
        self.system("status", status="compacting")
        self.pause(step["takes"])
        self.system("status", status=None, compact_result="success")
        facts = {"trigger": "auto", "pre_tokens": self.context, "post_tokens": step["after"]}
        facts |= {"cumulative_dropped_tokens": max(0, self.context - step["after"]), "duration_ms": step["takes"]}
        facts |= {"preserved_segment": {}, "preserved_messages": {}}
        self.system("compact_boundary", compact_metadata=facts, logical_parent_uuid=uuid())
        words = "This session is being continued from a previous conversation that ran out of context."
        message = {"role": "user", "content": [{"type": "text", "text": words}]}
        self.put({"type": "user", "message": message, **self.stamps(), "isSynthetic": True})
        self.context, self.cached, self.message = step["after"], 0, ""

    def do_fail(self, step: Json) -> None:
        kind = step["kind"]
        if kind == "exit":
            raise Ended(step["code"])
        if kind == "crash":
            os.kill(os.getpid(), step["signal"])
        while kind in ("crash", "hang"):
            time.sleep(3600)
        if own := self.shapes["own_failures"].get(kind):
            self.result({**own["result"], "is_error": True, "errors": [step["text"] or own["text"]]})
            raise Ended(1)
        if kind == "usage_limit":
            self.do_limit({"used": 1, "window": step["window"], "resets_in": step["resets_in"]})
        failure = self.shapes["api_failures"][kind]
        words, facts = step["text"] or failure["text"], failure["message"]
        message = {"id": uuid(), "usage": api_usage(0, 0, 0, 0), "content": [{"type": "text", "text": words}]}
        line = {"type": "assistant", "message": {**self.shapes["error_message"], **message}, **self.stamps()}
        self.put({**line, **facts, "is_api_error_message": True})
        told = {key: value for key, value in facts.items() if key != "error"}
        own = {"terminal_reason": "api_error", "stop_reason": "stop_sequence", **failure.get("result", {})}
        self.result({"is_error": True, "result": words, "api_error_status": None, **told, **own})
        raise Ended(1)

    def result(self, facts: Json) -> None:
        took = int((time.monotonic() - self.began) * 1000)
        idle, totals = not self.bill.output, self.total.model_usage()
        line = {
            "duration_api_ms": took,
            "session_id": self.session,
            "total_cost_usd": totals["costUSD"],
            "usage": self.bill.usage(),
            "modelUsage": {self.model: totals} if self.total.output else {},
            "permission_denials": self.denials,
            "num_turns": self.turns,
            **self.shapes["result"],
            **facts,
            "duration_ms": took,
            "uuid": uuid(),
            "model_usage_since_last_result": {} if idle else {self.model: self.bill.model_usage()},
        }
        self.put(line)

    def play(self) -> None:
        self.start()
        for step in self.steps:
            self.pause(step["pause"])
            getattr(self, "do_" + step["do"])(step)
        self.result({**self.shapes["answered"], "api_error_status": None, "result": self.said})

    def stopped(self, number: int) -> int:
        """As claude takes it: a TERM ends it with 143 and no result, an interrupt exits 0 and says so."""
        if self.tool:
            tool, pid = self.tool
            try:
                os.killpg(pid, signal.SIGKILL)
                self.answer(tool, "Exit code 137", "Error: Exit code 137", False)
            except ProcessLookupError:
                pass  # it has just ended by itself
        if number == signal.SIGTERM:
            return 143
        message = {"role": "user", "content": [{"type": "text", "text": "[Request interrupted by user]"}]}
        self.put({"type": "user", "message": message, **self.stamps()})
        return 0

    def run(self) -> int:
        """Play the scenario and return the exit code."""
        try:
            self.play()
        except Stopped as order:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            return self.stopped(order.args[0])
        except Ended as end:
            return int(end.args[0])
        return 0


def stop(number: int, frame: object) -> None:
    raise Stopped(number)


def main(words: list[str]) -> int:
    given = dict(zip(words[::2], words[1::2], strict=False))
    session = given.get("--resume") or given.get("--session-id")
    text = read_file(given.get("--scenario", ""))
    if text is None or not session:
        os.write(2, b"usage: agent.py --scenario FILE (--session-id UUID | --resume UUID) [--model NAME]\n")
        return 1
    try:
        speed = float(os.environ.get("HEADWAY_REHEARSAL_SPEED") or 1)
    except ValueError:
        os.write(2, b"rehearsal: HEADWAY_REHEARSAL_SPEED is not a number\n")
        return 1
    pace = 1 / max(speed, 0.001) if speed > 0 else 0
    agent = Agent(loads(text), session, "--resume" in given, given.get("--model"), pace)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        return agent.run()
    except BrokenPipeError:
        return 1


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
