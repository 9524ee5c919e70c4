"""Claude Code 2.1.330: `-p --output-format stream-json --verbose`."""
# os.path is what is loaded already:

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import time

from engine.rehearsal.players.bill import Bill, Call
from engine.rehearsal.players.files import NoSuchFileError, NoSuchTextError, patch, read_file, replace_text, write_file
from engine.rehearsal.players.player import OUTPUT_LIMIT, Ended, Player, Run
from engine.rehearsal.players.wire import loads, timestamp, uuid4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from engine.rehearsal.players.wire import Json

REFUSED = "error: unknown option"


class Claude(Player):
    """The totals of a session go on when it is resumed; what this run adds is told beside them."""

    def __init__(self, scenario: Json, run: Run) -> None:
        super().__init__(scenario, run)
        self.session = run.session or uuid4()
        self.total = Bill(scenario["price"])
        if run.resumed:  # the history comes from the cache
            self.total.call(0, self.context)
            self.total.output = 600
            self.cached, self.context = self.context, self.context + 1_500
        self.message, self.turns = "", 1
        self.usage: Json = {}
        self.denials: list[Json] = []
        self.windows: Json = {}
        self.tool = ""
        self.heard = b""

    def system(self, subtype: str, **more: Any) -> None:
        self.put({"type": "system", "subtype": subtype, **more, "session_id": self.session, "uuid": uuid4()})

    def stamps(self) -> Json:
        return {
            "parent_tool_use_id": None,
            "session_id": self.session,
            "uuid": uuid4(),
            "timestamp": timestamp(),
        }

    def refuse(self, kind: str, words: str) -> NoReturn:
        words = words or (REFUSED if kind == "refused" else f"No conversation found with session ID: {self.session}")
        self.complain(words)
        if kind == "lost":
            line = {**self.shapes["not_started"], "usage": usage(self.bill), "errors": [words]}
            self.put({**line, "session_id": self.session, "uuid": uuid4()})
        raise Ended(1)

    def begin(self) -> None:
        here = {"cwd": self.cwd, "original_cwd": self.cwd, "session_id": self.session, "uuid": uuid4()}
        self.put({**self.shapes["init"], **here, "model": self.model})

    def called(self, call: Call) -> None:
        self.message = "msg_" + os.urandom(10).hex()
        self.usage = api_usage(12, 1, call.read, call.written)
        self.total.call(call.read, call.written)

    def block(self, block: Json, tokens: int | None) -> None:
        """One block of an answer."""
        before = self.bill.output
        self.think(tokens)
        self.total.output += self.bill.output - before
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
        self.turns, self.open = self.turns + 1, None
        self.told(content)

    def failed(self, tool: str, words: str) -> None:
        self.answer(tool, f"<tool_use_error>{words}</tool_use_error>", f"Error: {words}", False)

    def refused(self, tool: str, name: str, given: Json, step: Json) -> bool:
        """Ask for a tool, where the step wants that. True where it may not be used; its result is printed then."""
        if not step["ask"]:
            return False
        words = "This tool needs a permission, and nobody can be asked."
        if self.run.asks:
            told = self.ask(tool, name, given)
            if told["behavior"] == "allow":
                return False
            words = told["message"]
        self.denials.append({"tool_name": name, "tool_use_id": tool, "tool_input": given})
        self.answer(tool, words, f"Error: {words}", False)
        return True

    def ask(self, tool: str, name: str, given: Json) -> Json:
        """Print a request, and wait for its answer on standard input."""
        request = uuid4()
        asked = {"subtype": "can_use_tool", "tool_name": name, "display_name": name, "input": given}
        about = given.get("description") or given.get("file_path") or name
        asked |= {"description": about, "permission_suggestions": [], "tool_use_id": tool}
        self.put({"type": "control_request", "request_id": request, "request": asked})
        while True:
            line, newline, rest = self.heard.partition(b"\n")
            if not newline:
                more = os.read(0, 65536)
                if not more:
                    return {"behavior": "deny", "message": "standard input was closed"}
                self.heard += more
                continue
            self.heard = rest
            said = loads(line.decode()) if line.startswith(b"{") else {}
            response = said.get("response") if said.get("type") == "control_response" else None
            if response and response.get("request_id") == request:
                answer: Json = response["response"]
                return answer

    def do_ask(self, step: Json) -> None:
        options = [{"label": option, "description": ""} for option in step["options"]]
        question = {"question": step["text"], "header": "", "options": options, "multiSelect": False}
        given = {"questions": [question]}
        tool = self.call("AskUserQuestion", given, step)
        if self.refused(tool, "AskUserQuestion", given, {"ask": not self.run.asks}):
            return None
        told = self.ask(tool, "AskUserQuestion", given)
        if told["behavior"] != "allow":
            return self.failed(tool, told["message"])
        answers = told["updatedInput"]["answers"]
        words = "; ".join(f'"{one}"="{answer}"' for one, answer in answers.items())
        return self.answer(tool, f"The user answered: {words}.", {**given, "answers": answers})

    def do_say(self, step: Json) -> None:
        self.block({"type": "text", "text": step["text"]}, step["tokens"])
        self.said = step["text"]

    def do_think(self, step: Json) -> None:
        self.block({"type": "thinking", "thinking": step["text"], "signature": ""}, step["tokens"])

    def do_read(self, step: Json) -> None:
        path = self.path(step)
        tool = self.call("Read", {"file_path": path}, step)
        text = read_file(path)
        if text is None:
            return self.failed(tool, "File does not exist.")
        lines = text.split("\n")
        shown = "\n".join(f"{n}\t{line}" for n, line in enumerate(lines, 1))
        facts = {"filePath": path, "content": text, "numLines": len(lines), "startLine": 1, "totalLines": len(lines)}
        return self.answer(tool, shown[:OUTPUT_LIMIT], {"type": "text", "file": facts})

    def do_edit(self, step: Json) -> None:
        path, old, new = self.path(step), step["find"], step["replace"]
        given = {"replace_all": False, "file_path": path, "old_string": old, "new_string": new}
        tool = self.call("Edit", given, step)
        if self.refused(tool, "Edit", given, step):
            return None
        try:
            before, after = replace_text(path, old, new)
        except NoSuchFileError:
            return self.failed(tool, "File does not exist.")
        except NoSuchTextError:
            return self.failed(tool, "String to replace not found in file.")
        detail = {"filePath": path, "oldString": old, "newString": new, "originalFile": before}
        more = {"structuredPatch": patch(before, after), "userModified": False, "replaceAll": False}
        return self.answer(tool, f"The file {path} has been updated successfully.", {**detail, **more})

    def do_write(self, step: Json) -> None:
        path, text = self.path(step), step["text"]
        given = {"file_path": path, "content": text}
        tool = self.call("Write", given, step)
        if self.refused(tool, "Write", given, step):
            return
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
        given = {"command": step["command"], "description": step["about"]}
        self.tool = tool = self.call("Bash", given, step)
        if self.refused(tool, "Bash", given, step):
            return None
        output, code = self.shell(step["command"], step["timeout"])
        if code == 0:
            flags = {"interrupted": False, "isImage": False, "noOutputExpected": False}
            return self.answer(tool, output, {"stdout": output, "stderr": "", **flags}, True, "rule")
        words = f"Exit code {code}\n{output}".rstrip()
        return self.answer(tool, words, f"Error: {words}", False, "rule")

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
        now, used = int(self.now()), step["used"]
        status = "rejected" if used >= 1 else "allowed_warning" if used >= 0.75 else "allowed"
        resets = now + max(1, int(step["resets_in"] * self.run.pace))
        if not self.windows:
            for name, hours in (("five_hour", 3), ("seven_day", 110)):
                self.windows[name] = {"utilization": 0.21, "resetsAt": now + hours * 3600, "status": "allowed"}
        self.windows[step["window"]] = {"utilization": used, "resetsAt": resets, "status": status}
        info = {"status": status, "resetsAt": resets, "rateLimitType": step["window"], "isUsingOverage": False}
        line = {"type": "rate_limit_event", "rate_limit_info": {**info, "unifiedWindows": self.windows}}
        self.put({**line, "uuid": uuid4(), "session_id": self.session})

    def do_compact(self, step: Json) -> None:
        self.system("status", status="compacting")
        self.pause(step["takes"])
        self.system("status", status=None, compact_result="success")
        facts = {"trigger": "auto", "pre_tokens": self.context, "post_tokens": step["after"]}
        facts |= {"cumulative_dropped_tokens": max(0, self.context - step["after"]), "duration_ms": step["takes"]}
        facts |= {"preserved_segment": {}, "preserved_messages": {}}
        self.system("compact_boundary", compact_metadata=facts, logical_parent_uuid=uuid4())
        words = "This session is being continued from a previous conversation that ran out of context."
        message = {"role": "user", "content": [{"type": "text", "text": words}]}
        self.put({"type": "user", "message": message, **self.stamps(), "isSynthetic": True})
        self.context, self.cached, self.open = step["after"], 0, None

    def fail(self, kind: str, step: Json) -> None:
        if own := self.shapes["own_failures"].get(kind):
            self.result({**own["result"], "is_error": True, "errors": [step["text"] or own["text"]]})
            raise Ended(1)
        if kind == "usage_limit":
            self.do_limit({"used": 1, "window": step["window"], "resets_in": step["resets_in"]})
        failure = self.shapes["failures"][kind]
        words, facts = step["text"] or failure["text"], failure["message"]
        message = {"id": uuid4(), "usage": api_usage(0, 0, 0, 0), "content": [{"type": "text", "text": words}]}
        line = {"type": "assistant", "message": {**self.shapes["error_message"], **message}, **self.stamps()}
        self.put({**line, **facts, "is_api_error_message": True})
        told = {key: value for key, value in facts.items() if key != "error"}
        own = {"terminal_reason": "api_error", "stop_reason": "stop_sequence", **failure.get("result", {})}
        self.result({"is_error": True, "result": words, "api_error_status": None, **told, **own})
        raise Ended(1)

    def result(self, facts: Json) -> None:
        took = int((time.monotonic() - self.began) * 1000)
        totals = self.model_usage(self.total)
        line = {
            "duration_api_ms": took,
            "session_id": self.session,
            "total_cost_usd": totals["costUSD"],
            "usage": usage(self.bill),
            "modelUsage": {self.model: totals} if self.total.output else {},
            "permission_denials": self.denials,
            "num_turns": self.turns,
            **self.shapes["result"],
            **facts,
            "duration_ms": took,
            "uuid": uuid4(),
            "model_usage_since_last_result": {self.model: self.model_usage(self.bill)} if self.bill.output else {},
        }
        self.put(line)

    def model_usage(self, bill: Bill) -> Json:
        tokens = {"inputTokens": bill.input, "outputTokens": bill.output, "cacheReadInputTokens": bill.read}
        tokens |= {"cacheCreationInputTokens": bill.written, "cacheCreationEphemeral5mInputTokens": bill.written}
        return {**tokens, "costUSD": bill.cost(), **self.shapes["model_usage"]}

    def finish(self) -> None:
        self.result({**self.shapes["answered"], "api_error_status": None, "result": self.said})

    def stopped(self, number: int) -> int:
        """A TERM ends it with 143 and no result, an interrupt exits 0 and says so. Both take its tool along."""
        if self.kill_tool():
            self.answer(self.tool, "Exit code 137", "Error: Exit code 137", False)
        if number == signal.SIGTERM:
            return 143
        message = {"role": "user", "content": [{"type": "text", "text": "[Request interrupted by user]"}]}
        self.put({"type": "user", "message": message, **self.stamps()})
        return 0


def usage(bill: Bill) -> Json:
    return api_usage(bill.input, bill.output, bill.read, bill.written)


def api_usage(told: int, output: int, read: int, written: int) -> Json:
    usage: Json = {"input_tokens": told, "output_tokens": output, "cache_read_input_tokens": read}
    parts = {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0}
    return {**usage, "cache_creation_input_tokens": written, "cache_creation": parts, "service_tier": "standard"}
