"""A stand-in for a coding agent: plays a scenario and prints what the real one would print.

Standard library only, run as `python -I -S agent.py FORMAT --scenario FILE [--session-id UUID | --resume ID]`, with
`--sessions DIR` for the formats that keep a record of their conversations and `--permission-prompt-tool stdio` where
standard input answers what claude asks. It edits files and runs commands in its
working directory for real; only the model is made up. The streams are those of claude 2.1.330, codex 0.169.0,
opencode 1.18.33 and gemini 0.61.0, held against recordings by a test. HEADWAY_REHEARSAL_SPEED 2 plays at twice the
speed, 0 without pauses.
"""
# pathlib would cost half the start:
# ruff: noqa: PTH100, PTH120

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.rehearsal.players.player import Player

USAGE = (
    b"usage: agent.py claude|codex|opencode|gemini --scenario FILE [--session-id UUID | --resume ID] "
    b"[--sessions DIR] [--model NAME] [--permission-prompt-tool stdio]\n"
)


def player(agent: str) -> type[Player] | None:
    """Who plays in a format. The others are not even read."""
    if agent == "claude":
        from engine.rehearsal.players.claude import Claude as Found
    elif agent == "codex":
        from engine.rehearsal.players.codex import Codex as Found  # type: ignore[assignment]
    elif agent == "opencode":
        from engine.rehearsal.players.opencode import Opencode as Found  # type: ignore[assignment]
    elif agent == "gemini":
        from engine.rehearsal.players.gemini import Gemini as Found  # type: ignore[assignment]
    else:
        return None
    return Found


def main(words: list[str]) -> int:
    from engine.rehearsal.players import VERSION

    if words == ["--version"]:
        os.write(1, f"{VERSION} (rehearsal)\n".encode())
        return 0
    from engine.rehearsal.players.files import read_file
    from engine.rehearsal.players.player import Run
    from engine.rehearsal.players.wire import loads

    plays = player(words[0]) if words else None
    given = dict(zip(words[1::2], words[2::2], strict=False))
    session = given.get("--session-id") or given.get("--resume")  # with both it is a fork, under the new name
    text = read_file(given.get("--scenario", ""))
    if plays is None or text is None or (session is None and words[0] == "claude"):
        os.write(2, USAGE)
        return 1
    try:
        speed = float(os.environ.get("HEADWAY_REHEARSAL_SPEED") or 1)
    except ValueError:
        os.write(2, b"rehearsal: HEADWAY_REHEARSAL_SPEED is not a number\n")
        return 1
    run = Run(
        session,
        resumed="--resume" in given,
        pace=1 / max(speed, 0.001) if speed > 0 else 0,
        sessions=given.get("--sessions"),
        model=given.get("--model"),
        asks=given.get("--permission-prompt-tool") == "stdio",
    )
    try:
        return plays(loads(text), run).play()
    except BrokenPipeError:
        return 101 if words[0] == "codex" else 1


if __name__ == "__main__":
    # It runs without site-packages: what it needs of Headway is found from its own place.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    os._exit(main(sys.argv[1:]))
