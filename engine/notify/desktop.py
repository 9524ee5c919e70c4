"""The desktop of the machine that the engine runs on, by notify-send."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from engine.notice import Message
from engine.notify.sending import NotSentError
from engine.runner import spawn

SECONDS = 10.0
PROGRAM = "notify-send"

_NAMES = ("HOME", "PATH", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY", "LANG")


class DesktopSender:
    """A channel of the kind `desktop`. `environment`: the engine's own."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    async def send(self, message: Message, key: str | None) -> None:
        program = shutil.which(PROGRAM, path=self._environment.get("PATH"))
        if program is None:
            raise NotSentError(f"{PROGRAM} is not on this machine (libnotify-bin has it)", final=True)
        urgency = "critical" if message.loud else "normal"
        argv = [program, "--app-name=Headway", f"--urgency={urgency}", "--", message.title, message.text]
        given = {name: self._environment[name] for name in _NAMES if name in self._environment}
        try:
            done = await spawn.run(argv, given, within=SECONDS)
        except (OSError, TimeoutError):
            raise NotSentError(f"{PROGRAM} did not come to an end") from None
        if done.code != 0:
            raise NotSentError(f"{PROGRAM}: exit {done.code}; is there a desktop, and DBUS_SESSION_BUS_ADDRESS?")
