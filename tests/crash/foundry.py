"""Starts real engines fast: a process that has loaded everything forks one for each start.

Each engine is a process of its own that runs what `headway serve` runs, on the real lock, socket and database.
Lines on standard input: `HOME` starts one there; the answer is its pid, once it serves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from pathlib import Path

from engine.agents.registry import agents
from engine.config import find_settings, load_settings
from engine.home import make_home
from engine.server.serve import Terms, serve


def run(home: Path, ready: int) -> None:
    os.setsid()
    log = os.open(home / "engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    make_home(home)
    settings = load_settings(find_settings(home, home), agents())
    asyncio.run(serve(home, settings, Terms(ready)))


def main() -> None:
    last = 0
    for line in sys.stdin:
        if last:
            os.waitpid(last, 0)  # it was killed; its lock is free once it is gone
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(readable)
                run(Path(line.strip()), writable)
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(code)
        last = pid
        os.close(writable)
        served = os.read(readable, 100)
        os.close(readable)
        print(pid if served else -pid, flush=True)


if __name__ == "__main__":
    main()
