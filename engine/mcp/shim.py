"""The MCP server of one attempt: JSON-RPC with its agent on standard input and output, relayed to the engine's socket.

A program of its own, which every agent starts: `python -I -S shim.py FILE`. So it uses the standard library alone, and
little of it. What it may do stands in FILE, its capability: the socket, the token, the tools. It answers by itself all
that needs no engine, and outlives one: a call in flight is sent again to the next engine, under the same name, by which
that one knows it. Protocol: https://modelcontextprotocol.io/specification, revisions 2024-11-05 to 2026-07-28.
"""

from __future__ import annotations

import json
import os
import select
import sys
from time import monotonic

TYPE_CHECKING = False  # typing's own takes longer to load than all else here
if TYPE_CHECKING:
    import socket
    from typing import Any

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")  #: revisions that begin with `initialize`
MODERN = ("2026-07-28",)  #: those in which each request says its own, and nothing is shaken
META = "io.modelcontextprotocol/"
LINE_BYTES = 1 << 20  #: of one message; a longer one is refused and passed over
ARGUMENTS_BYTES = 64 << 10  #: of a call's arguments
FILE_BYTES = 1 << 20
PROGRESS_SECONDS = 15.0  #: between two signs of life of a call that waits, for clients whose clocks they reset
PATIENCE_SECONDS = 120.0  #: for an engine that is away, of a call that waits for no person
AGAIN_SECONDS = (0.05, 2.0)  #: between two tries to reach the engine: at first, and in the end
SEND_SECONDS = 10.0
LIST_MS = 3_600_000  #: for which a client may keep the list of tools: it stays as it is for as long as this runs

PARSE, INVALID, UNKNOWN, PARAMS, VERSION = -32700, -32600, -32601, -32602, -32022


class Call:
    """One call that the engine has not answered yet."""

    __slots__ = ("began", "frame", "number", "progress", "reported", "token", "version", "waits")

    def __init__(self, number: object, frame: bytes, token: object, version: str, *, waits: bool) -> None:
        self.number = number
        """The request's id."""
        self.frame = frame
        self.token = token
        """What its progress is to be told under; None for not at all."""
        self.version = version
        self.waits = waits
        """For a person, who takes their time."""
        self.began = self.reported = monotonic()
        self.progress = 0


class Shim:
    """Serves one agent until that closes standard input."""

    def __init__(self, capability: dict[str, Any]) -> None:
        self.home: str = capability["home"]
        self.socket: str = capability["socket"]
        self.token: str = capability["token"]
        self.tools: list[dict[str, object]] = capability["tools"]
        self.names = {tool["name"] for tool in self.tools}
        self.waiting = frozenset(capability.get("waits", ()))
        self.about = {"name": "headway", "title": "Headway", "version": capability.get("version", "0")}
        self.instructions: str = capability.get("instructions", "")
        self.calls: dict[str, Call] = {}
        self.prefix = os.urandom(8).hex()
        self.count = 0
        self.farewells: dict[str, bytes] = {}
        """What calls that nobody waits for any more are ended by, as far as the engine has not heard it."""
        self.line: socket.socket | None = None
        """The connection to the engine, while there is one."""
        self.heard = b""
        self.poll = select.poll()
        self.pause = AGAIN_SECONDS[0]
        self.next_try = 0.0

    def run(self) -> None:
        self.poll.register(0, select.POLLIN | select.POLLHUP)
        read, passing = b"", False
        while True:
            self._reach()
            for fd, _ in self.poll.poll(self._patience()):
                if fd != 0:
                    self._hear()
                    continue
                data = os.read(0, 1 << 16)
                if not data:
                    return
                *lines, read = (read + data).split(b"\n")
                for one in lines:
                    if passing or len(one) > LINE_BYTES:
                        passing = False
                        self._fail(None, INVALID, f"a message is longer than {LINE_BYTES} bytes")
                    elif one.strip():
                        self._take(one)
                if len(read) > LINE_BYTES:
                    read, passing = b"", True
            self._tell_progress()

    # ---- the agent's side

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line, parse_constant=_refuse, parse_float=_finite)
            json.dumps(said, ensure_ascii=False).encode()  # nor can what is too deep, or half a character, be passed on
        except (ValueError, RecursionError):
            self._fail(None, PARSE, "this is no JSON")
            return
        for one in said if isinstance(said, list) else [said]:
            if isinstance(one, dict) and isinstance(one.get("method"), str):
                params = one.get("params")
                self._request(one.get("id"), one["method"], params if isinstance(params, dict) else {})
            elif not (isinstance(one, dict) and ("result" in one or "error" in one)):
                self._fail(one.get("id") if isinstance(one, dict) else None, INVALID, "this is no request")

    def _request(self, number: object, method: str, params: dict[str, Any]) -> None:
        if number is None:
            if method == "notifications/cancelled":
                self._cancel(params.get("requestId"))
            return
        meta = params.get("_meta")
        meta = meta if isinstance(meta, dict) else {}
        version = meta.get(f"{META}protocolVersion", "")
        if version and version not in MODERN:
            self._fail(number, VERSION, "Unsupported protocol version", {"supported": MODERN, "requested": version})
        elif method == "initialize":
            asked = params.get("protocolVersion")
            result = {"protocolVersion": asked if asked in HANDSHAKE else HANDSHAKE[-1], "serverInfo": self.about}
            self._answer(number, {**result, **self._offer()})
        elif method == "server/discover":
            self._answer(number, {"supportedVersions": MODERN, **self._offer(), **self._kept()}, MODERN[0])
        elif method == "tools/list":
            self._answer(number, {"tools": self.tools, **(self._kept() if version else {})}, version)
        elif method == "tools/call":
            self._call(number, params, meta.get("progressToken"), version)
        elif method == "ping":
            self._answer(number, {}, version)
        else:
            self._fail(number, UNKNOWN, f"Method not found: {method[:100]}")

    def _offer(self) -> dict[str, object]:
        return {"capabilities": {"tools": {"listChanged": False}}, "instructions": self.instructions}

    def _kept(self) -> dict[str, object]:
        return {"ttlMs": LIST_MS, "cacheScope": "private"}

    def _call(self, number: object, params: dict[str, Any], token: object, version: str) -> None:
        name, given = params.get("name"), params.get("arguments")
        if not isinstance(name, str) or name not in self.names:
            self._fail(number, PARAMS, f"Unknown tool: {str(name)[:100]}")
            return
        arguments = json.dumps({} if given is None else given)
        if len(arguments) > ARGUMENTS_BYTES:
            self._result(number, version, f"the arguments are longer than {ARGUMENTS_BYTES >> 10} KiB", ok=False)
            return
        self.count += 1
        call = f"{self.prefix}-{self.count}"
        frame = {"token": self.token, "call": call, "tool": name, "arguments": json.loads(arguments)}
        self.calls[call] = Call(number, _line(frame), token, version, waits=name in self.waiting)
        if self.line is not None:
            self._send(self.calls[call].frame)

    def _cancel(self, number: object) -> None:
        for name, call in list(self.calls.items()):
            if call.number == number:
                del self.calls[name]
                self.farewells[name] = _line({**json.loads(call.frame), "cancel": True})
                self._send(self.farewells[name])

    def _tell_progress(self) -> None:
        """Signs of life, and the end of patience with an engine that is away."""
        now = monotonic()
        for name, call in list(self.calls.items()):
            if self.line is None and not call.waits and now - call.began > PATIENCE_SECONDS:
                del self.calls[name]
                self._result(call.number, call.version, "Headway does not answer now: go on without it", ok=False)
            elif call.token is not None and now - call.reported >= PROGRESS_SECONDS:
                call.reported, call.progress = now, call.progress + 1
                told = "waits for the operator" if call.waits else "at work"
                params = {"progressToken": call.token, "progress": call.progress, "message": told}
                _write({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})

    def _patience(self) -> float | None:
        """Milliseconds until something is to be done though nobody says anything."""
        if not self.calls and not self.farewells:
            return None
        now = monotonic()
        due = [one.reported + PROGRESS_SECONDS for one in self.calls.values() if one.token is not None]
        if self.line is None:
            due += [self.next_try, *(one.began + PATIENCE_SECONDS for one in self.calls.values() if not one.waits)]
        return max(1.0, (min(due) - now) * 1000 + 1) if due else None

    def _result(self, number: object, version: str, text: str, *, ok: bool) -> None:
        self._answer(number, {"content": [{"type": "text", "text": text}], "isError": not ok}, version)

    def _answer(self, number: object, result: dict[str, object], version: str = "") -> None:
        if version in MODERN:
            result = {**result, "resultType": "complete", "_meta": {f"{META}serverInfo": self.about}}
        _write({"jsonrpc": "2.0", "id": number, "result": result})

    def _fail(self, number: object, code: int, message: str, data: object = None) -> None:
        error = {"code": code, "message": message, **({"data": data} if data is not None else {})}
        _write({"jsonrpc": "2.0", "id": number, "error": error})

    # ---- the engine's side

    def _reach(self) -> None:
        """Connect where something is to be sent, and send all that is not answered."""
        wanted = self.calls or self.farewells
        if self.line is not None or not wanted or monotonic() < self.next_try:
            return
        import socket  # not before the first call: many an agent makes none

        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(SEND_SECONDS)
        try:
            # By an open directory, because the address of a UNIX socket is at most 107 bytes long.
            home = os.open(self.home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                line.connect(f"/proc/self/fd/{home}/{self.socket}")
            finally:
                os.close(home)
        except OSError:
            line.close()
            self._later()
            return
        self.line, self.heard = line, b""
        self.poll.register(line.fileno(), select.POLLIN | select.POLLHUP)
        for call in self.calls.values():
            self._send(call.frame)
        for frame in self.farewells.values():
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        if self.line is None:
            return
        try:
            self.line.sendall(frame)
        except OSError:
            self._lose()  # the other end is gone, or stuck

    def _hear(self) -> None:
        if self.line is None:
            return
        try:
            data = self.line.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        *lines, self.heard = (self.heard + data).split(b"\n")
        for one in lines:
            said = json.loads(one)
            call = self.calls.pop(said["call"], None)
            self.farewells.pop(said["call"], None)
            self.pause = AGAIN_SECONDS[0]
            if call is not None:
                self._result(call.number, call.version, said["text"], ok=said["ok"])

    def _lose(self) -> None:
        """The connection is over. What it has not answered is sent again on the next one."""
        if self.line is not None:
            self.poll.unregister(self.line.fileno())
            self.line.close()
            self.line = None
        self._later()

    def _later(self) -> None:
        self.next_try = monotonic() + self.pause
        self.pause = min(2 * self.pause, AGAIN_SECONDS[1])


def _refuse(word: str) -> object:
    raise ValueError(word)  # NaN and Infinity are no JSON: the engine would hang up, and be sent it again


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(text)
    return value


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _write(message: object) -> None:
    data = _line(message)
    while data:
        data = data[os.write(1, data) :]


def main(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            capability = json.loads(file.read(FILE_BYTES))
        Shim(capability).run()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            return 0
        sys.stderr.write(f"headway mcp: {path}: {error.strerror}: its attempt has ended, or is not of Headway\n")
        return 1
    except (ValueError, KeyError):
        sys.stderr.write(f"headway mcp: {path} is no capability of Headway\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
