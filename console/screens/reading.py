"""What a reader of a long text needs: to search it, copy it, and open it in the programs that are made for that."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from textual.app import SuspendNotSupported

from console.format import job_name, plural
from console.roles import Role
from console.screens.operating import Operating
from console.widgets.ask_bar import AskBar
from console.widgets.tail import Tail


class Reading(Operating):
    """A screen with texts, one of which is read."""

    def text_read(self) -> Tail | None:
        """The text that the keys mean."""
        return self.focused if isinstance(self.focused, Tail) else None

    def action_search(self, text: str = "") -> None:
        if text:
            self._search(text)
        else:
            self.ask.prompt("search", "/")

    def on_ask_bar_entered(self, event: AskBar.Entered) -> None:
        if event.kind == "search":
            self._search(event.text)

    def _search(self, text: str) -> None:
        tail = self._last_text()
        if tail is None:
            self.say("no text here to search")
        elif not text.strip():
            tail.search("")
        else:
            count = tail.search(text)
            self.say(f"{plural(count, 'line')} with {text!r}: n next, N previous" if count else f"no {text!r} in it")

    def _last_text(self) -> Tail | None:
        """The text that was read before the prompt took the keys."""
        return self.text_read() or (self._last_focus if isinstance(self._last_focus, Tail) else None)

    def action_next_match(self) -> None:
        self._step(1)

    def action_previous_match(self) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        tail = self.text_read()
        if tail is None or not tail.find(step):
            self.say("/ searches first" if tail is None or not tail.searched else f"no further {tail.searched!r}")

    def action_copy_text(self) -> None:
        tail = self.text_read()
        text = "\n".join(tail.shown_text()) if tail is not None else ""
        if not text.strip():
            self.say("no text here to copy")
            return
        self.app.copy_to_clipboard(text)
        self.say(f"copied {plural(text.count(chr(10)) + 1, 'line')}")

    def action_page_text(self) -> None:
        self._hand_over("PAGER", os.environ.get("PAGER") or "less")

    def action_edit_text(self) -> None:
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if editor:
            self._hand_over("EDITOR", editor)
        else:
            self.say("set $EDITOR to open the text in it")

    def _hand_over(self, name: str, program: str) -> None:
        """Write the text to a file, and lend the terminal to a program that shows it."""
        tail, jobs = self.text_read(), self.targets()
        lines = tail.whole_text() if tail is not None else []
        if not lines:
            self.say("no text here to open")
            return
        prefix = f"headway-{job_name(jobs[0]) if jobs else 'text'}-"
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            path = Path(folder) / "log.txt"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            try:
                with self.app.suspend():
                    code = subprocess.run([*shlex.split(program), str(path)], check=False).returncode
            except SuspendNotSupported:
                self.say("this terminal cannot be lent to another program")
            except (OSError, ValueError) as error:
                self.say(f"${name} {program}: {error}", Role.FAILED)
            else:
                self.say(f"{plural(len(lines), 'line')}" if code == 0 else f"${name} ended with {code}")
