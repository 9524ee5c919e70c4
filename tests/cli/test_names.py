"""Names that lead somewhere else, given to commands and in job files: one line, and nothing made outside."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Served, settings_file

#: Up, away, hidden, of another case or form, too long, and what a shell or a terminal would take for something else.
EVIL = (
    "../out", "..", "/out", "a/../../out", ".hidden", "a\nb", "a\x1b[2J", "\u202etxt", "a" * 300, "%2e%2e%2fout",
)  # fmt: skip


def test_no_name_leads_a_command_out(served: Served, tmp_path: Path) -> None:
    place = tmp_path / "config"
    served.env |= {"XDG_CONFIG_HOME": str(place), "HOME": str(tmp_path)}
    settings_file(served.home, "max_running: 1\n")
    served.start()
    before = {path for path in tmp_path.rglob("*") if served.home not in path.parents}
    for name in EVIL:
        jobs = tmp_path / "jobs.json"
        jobs.write_text(
            json.dumps([{"prompt": "p", "skills": [name]}, {"prompt": "p", "gate": name, "agent": "shell"}])
        )
        for command in (
            ("skills", "new", "--", name),
            ("personas", "show", "--", name),
            ("run", "--", name, "what"),
            ("submit", "-f", str(jobs)),
        ):
            done = served.headway(*command)
            assert done.returncode in (2, 4, 5), (command, done.stdout, done.stderr)
            assert "Traceback" not in done.stderr and "defect" not in done.stderr, (command, done.stderr)
            assert all(c.isprintable() or c == "\n" for c in done.stderr), (command, done.stderr)
        jobs.unlink()
    after = {path for path in tmp_path.rglob("*") if served.home not in path.parents}
    assert after == before, after - before
