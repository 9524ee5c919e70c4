"""Whether the tools for agents work here: the shim starts and lists them, and the engine's socket answers."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import msgspec

from engine.home import AGENTS
from engine.mcp import capability
from engine.mcp.desk import STRANGER
from engine.mcp.offering import command
from engine.mcp.wire import Frame, Reply
from engine.model import Tool
from engine.runner import spawn
from engine.runner.run_dir import RunDir

SECONDS = 10.0
_ASKED = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}\n'
    b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n'
)


async def trouble(home: Path) -> str:
    """What is wrong with them; empty where they work. Spends nothing, and calls in nobody's name."""
    try:
        return await _shim(home) or await _socket(home)
    except TimeoutError:
        return f"no answer within {SECONDS:.0f} s"
    except OSError as error:
        return error.strerror or str(error)


async def _shim(home: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="headway-") as place:
        path = capability.write(RunDir(Path(place)), home, "nobody", list(Tool))
        done = await spawn.run(
            command(path), {"PATH": os.environ.get("PATH", os.defpath)}, within=SECONDS, stdin=_ASKED
        )
    if done.code != 0 or b'"ask_operator"' not in done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return f"their server does not start: {said[-1] if said else f'exit {done.code}'}"
    return ""


async def _socket(home: Path) -> str:
    """A token that is good for nothing has to be told so."""
    fd = os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        async with asyncio.timeout(SECONDS):
            try:
                reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{fd}/{AGENTS}")
            except (FileNotFoundError, ConnectionRefusedError):
                return "no engine serves their socket"
            writer.write(msgspec.json.encode(Frame("nobody", "1", Tool.JOB_STATUS)) + b"\n")
            line = await reader.readline()
            writer.close()
    finally:
        os.close(fd)
    return "" if line and msgspec.json.decode(line, type=Reply).text == STRANGER else "their socket answers wrongly"
