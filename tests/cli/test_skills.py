"""`headway skills`: found with and without an engine, begun, held against the format, and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.server.client import Client
from tests.conftest import Served, settings_file
from tests.runner.living import rehearsal
from tests.skills.shelf import write_skill


@pytest.fixture
def person(served: Served, tmp_path: Path) -> Path:
    """A user with a folder of skills; the folder."""
    served.env |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path / "person")}
    folder = tmp_path / "config" / "headway" / "skills"
    write_skill(folder, "incident-triage", "Ours. Use when it burns.")
    (write_skill(folder, "broken") / "SKILL.md").write_text("no head")
    return folder


def told(served: Served, *arguments: str) -> Any:
    return served.json("skills", *arguments)


def test_without_an_engine_all_are_listed_and_what_stands_before_what(served: Served, person: Path) -> None:
    done = served.headway("skills")
    assert "log-forensics" in done.stdout and "Ours. Use when it burns." in done.stdout
    assert "stands before" in done.stderr and "1 skill of these cannot be given" in done.stderr
    found = {one["name"]: one for one in told(served, "list")}
    assert found["incident-triage"]["source"] == "user" and len(found["incident-triage"]["shadows"]) == 1
    assert found["broken"]["problem"] == "SKILL.md must begin with a line of ---"
    assert len(found) >= 29


def test_a_project_shows_its_own_where_it_is_trusted(served: Served, person: Path, tmp_path: Path) -> None:
    write_skill(tmp_path / "p" / ".agents" / "skills", "house")
    settings_file(served.home, f"projects:\n  p: {{path: {tmp_path / 'p'}}}\n")
    (found,) = [one for one in told(served, "list", "--project", "p") if one["name"] == "house"]
    assert "is not trusted with skills" in found["problem"]
    settings_file(served.home, f"projects:\n  p: {{path: {tmp_path / 'p'}, skills: {{trusted: true}}}}\n")
    (found,) = [one for one in told(served, "list", "--project", str(tmp_path / "p")) if one["name"] == "house"]
    assert (found["problem"], found["source"]) == (None, "project")


def test_one_is_shown_with_where_it_is_from(served: Served, person: Path) -> None:
    done = served.headway("skills", "show", "incident-triage")
    assert done.stdout == (person / "incident-triage" / "SKILL.md").read_text()
    assert f"user: {person}" in done.stderr
    done = served.headway("skills", "show", "incident-triag")
    assert (done.returncode, done.stdout) == (4, "") and "did you mean 'incident-triage'?" in done.stderr


def test_a_new_one_is_begun_once_and_is_valid(served: Served, person: Path) -> None:
    done = served.headway("skills", "new", "my-skill", "-d", "Does it. Use when asked.")
    assert done.stdout.strip() == str(person / "my-skill" / "SKILL.md")
    done = served.headway("skills", "validate", str(person / "my-skill"), str(person / "broken"))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{person / 'my-skill'}: valid",
        f"{person / 'broken'}: not valid",
        "  error: SKILL.md must begin with a line of ---",
    ]
    assert served.headway("skills", "new", "my-skill").returncode == 5
    done = served.headway("skills", "new", "../evil")
    assert done.returncode == 2 and "lowercase letters" in done.stderr


def test_doctor_names_what_is_broken(served: Served, person: Path) -> None:
    checks = {one["name"]: one for one in json.loads(served.headway("doctor", "--json").stdout)}
    assert not checks["skills"]["ok"]
    assert checks["skills"]["mend"] == f"{person / 'broken' / 'SKILL.md'}: SKILL.md must begin with a line of ---"


async def test_what_a_job_was_given_is_told_and_counted(served: Served, person: Path, tmp_path: Path) -> None:
    settings_file(served.home, "grace: 1\nskills: {match: on}\n")
    served.start()
    read = {"do": "run", "command": "cat .claude/skills/incident-triage/SKILL.md"}
    steps: list[dict[str, object]] = [read, {"do": "say", "text": "done"}]
    played = rehearsal(tmp_path, steps)
    done = served.headway(
        "submit", "--agent", "rehearsal", "--model", played, "--scratch", "--skill", "incident-triage",
        "The test is flaky, fails intermittently: fix the flaky test",
    )  # fmt: skip
    job = int(done.stdout)
    await served.until_ended([job])
    why = served.headway("skills", "why", str(job)).stdout
    assert "the job names it" in why and "flaky-test-hunter" in why and "share" in why
    counts = {one["name"]: one for one in told(served, "stats")}
    assert (counts["incident-triage"]["given"], counts["incident-triage"]["used"]) == (1, 1)
    assert (counts["flaky-test-hunter"]["given"], counts["flaky-test-hunter"]["used"]) == (1, 0)
    assert "incident-triage" in served.headway("skills", "stats").stdout
    assert "skills_given" in served.headway("events", "--json").stdout
    assert served.headway("skills", "why", "99").returncode == 4
    async with Client(served.home) as client:
        assert {one.name for one in await client.skills()} >= {"broken", "log-forensics"}
        assert (await client.skills_of(job)).attempts[1][0].name == "incident-triage"
        assert not (await client.skills_of(job)).ahead
