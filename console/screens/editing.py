"""A text in $EDITOR: the terminal is lent, and what was written comes back."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.app import SuspendNotSupported

from console.roles import Role
from console.screens.frame import Frame
from engine.errors import HeadwayError


def edited(frame: Frame, text: str, suffix: str) -> str | None:
    """The text as the operator left it; None, and a line that says why, where there is none."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        frame.say("set $EDITOR to edit it here", Role.WAIT)
        return None
    file, name = tempfile.mkstemp(prefix="headway-", suffix=suffix)
    path = Path(name)
    try:
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            opened.write(text)
        with frame.app.suspend():
            code = subprocess.run([*shlex.split(editor), name], check=False).returncode
        if code:
            frame.say(f"$EDITOR ended with {code}; nothing was changed", Role.WAIT)
            return None
        return path.read_text(encoding="utf-8")
    except SuspendNotSupported:
        frame.say("this terminal cannot be lent to an editor", Role.WAIT)
    except (OSError, ValueError) as error:
        frame.say(f"$EDITOR {editor}: {error}", Role.FAILED)
    finally:
        path.unlink(missing_ok=True)
    return None


async def edit(frame: Frame, text: str, suffix: str, take: Callable[[str], Awaitable[str]]) -> bool:
    """Let a text be edited and hand it over, and say what came of it. Whether it was taken.

    What is refused is not lost: it can be edited again where it stands.
    """
    written = text
    while True:
        found = edited(frame, written, suffix)
        if found is None:
            return False
        if found == text:
            frame.say("nothing was changed")
            return False
        written = found
        try:
            frame.desk.require_engine()
            frame.say(await take(written))
        except HeadwayError as error:
            if not await frame.ask.confirm(f"{error.message}; edit it again?"):
                frame.say("nothing was changed")
                return False
        else:
            return True
