"""What an attempt is given of skills lies where its agent looks, hidden from git, and nothing of it stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.agents import events as said
from engine.config import AgentSettings, ProjectSettings, ProjectSkills, Settings, SkillSettings
from engine.engine import Engine
from engine.errors import EntryError
from engine.model import Failure, JobSpec, Order, State, Verb, Workspace
from engine.runner import exclude, kit
from engine.runner.run_dir import RunDir, run_dir
from engine.runner.uses import Uses
from engine.serving import serving
from engine.skills.skill import Given, How
from tests.conftest import run_git
from tests.runner.living import ended, launched, rehearsal, submit
from tests.skills.shelf import write_skill

LOOK = "find . -path ./.git -prune -o -type f -print | sort; git status --porcelain; cat .claude/skills/mine/SKILL.md"

DONE: dict[str, object] = {"do": "say", "text": "done"}


def run(command: str) -> dict[str, object]:
    return {"do": "run", "command": command}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of skills, with one in it; and a home in which no agent has any of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    folder = tmp_path / "config" / "headway" / "skills"
    scripts = write_skill(folder, "mine", body="The tide is high.") / "scripts"
    scripts.mkdir()
    (scripts / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (scripts / "run.sh").chmod(0o755)
    return folder


def job(tmp_path: Path, steps: list[dict[str, object]], **more: Any) -> JobSpec:
    more = {"skills": ["mine"], **more}
    return JobSpec(prompt="do it", title="Do it", agent="rehearsal", model=rehearsal(tmp_path, steps), **more)


async def given(engine: Engine, id_: int, attempt: int = 1) -> list[Given]:
    return (await engine.shelf.of_job(id_)).attempts[attempt]


async def test_it_lies_where_the_agent_looks_and_git_does_not_see_it(
    engine: Engine, home: Path, repository: Path, tmp_path: Path, config: Path
) -> None:
    exclude_file = repository / ".git" / "info" / "exclude"
    before = exclude_file.read_bytes()
    steps = [
        run(LOOK),
        run(".agents/skills/mine/scripts/run.sh"),
        DONE,
    ]
    (id_,) = await submit(engine, job(tmp_path, steps, project=str(repository)))
    row, (attempt,) = await ended(engine, id_)
    assert row.state is State.SUCCEEDED, attempt.reason
    output = (run_dir(home, id_, 1).stdout).read_text()
    for told in ("./.agents/skills/mine/SKILL.md", "./.claude/skills/mine/scripts/run.sh", "The tide is high.", "ran"):
        assert told in output
    assert "?? " not in output, "git status told of nothing"
    (one,) = await given(engine, id_)
    assert (one.how, one.used, one.reason, one.source) == (How.NATIVE, True, "the job names it", "user")
    assert len(one.sha256) == 64
    assert attempt.diff_files == 0
    assert not (home / "worktrees" / "1-do-it").exists(), "the workspace was as if nothing had been in it"
    assert exclude_file.read_bytes() == before
    (count,) = await engine.shelf.counts()
    assert (count.name, count.given, count.used, count.succeeded, count.failed) == ("mine", 1, 1, 1, 0)


async def test_the_agent_is_pointed_to_a_skill_that_was_named(
    engine: Engine, home: Path, repository: Path, tmp_path: Path, config: Path
) -> None:
    (id_,) = await submit(engine, job(tmp_path, [DONE], project=str(repository)))
    await ended(engine, id_)
    assert (run_dir(home, id_, 1).path / "prompt").read_text() == "Use the skill `mine` for this task.\n\ndo it"
    (one,) = await given(engine, id_)
    assert one.used is False


async def test_of_two_of_one_name_that_of_the_project_stands(
    engine: Engine, home: Path, repository: Path, tmp_path: Path, config: Path
) -> None:
    theirs = write_skill(repository / ".claude" / "skills", "mine", body="Ours says low.")
    run_git(repository, "add", ".")
    run_git(repository, "commit", "--quiet", "--message", "skill")
    steps = [
        run("cat .claude/skills/mine/SKILL.md; ls -d .agents || true"),
        DONE,
    ]
    (id_,) = await submit(engine, job(tmp_path, steps, project=str(repository)))
    _, (attempt,) = await ended(engine, id_)
    output = run_dir(home, id_, 1).stdout.read_text()
    assert "Ours says low." in output and "The tide is high." not in output
    (one,) = await given(engine, id_)
    assert (one.how, one.used) == (How.OWN, True) and one.note.startswith("that of the same name stands: ")
    assert attempt.diff_files == 0 and theirs.exists()


async def test_what_the_agent_changed_of_a_skill_is_kept_with_its_run(
    engine: Engine, home: Path, repository: Path, tmp_path: Path, config: Path
) -> None:
    steps = [
        run("echo better >> .claude/skills/mine/SKILL.md; rm -r .agents"),
        DONE,
    ]
    (id_,) = await submit(engine, job(tmp_path, steps, project=str(repository)))
    _, (attempt,) = await ended(engine, id_)
    kept = run_dir(home, id_, 1).path / kit.CHANGED / "mine" / "SKILL.md"
    assert kept.read_text().endswith("better\n")
    assert (config / "mine" / "SKILL.md").read_text().endswith("The tide is high.\n"), "the user's own is untouched"
    assert attempt.diff_files == 0


async def test_a_folder_that_leads_elsewhere_gets_nothing(
    engine: Engine, home: Path, repository: Path, tmp_path: Path, config: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (repository / ".claude").symlink_to(tmp_path / "elsewhere")
    run_git(repository, "add", ".")
    run_git(repository, "commit", "--quiet", "--message", "link")
    (id_,) = await submit(engine, job(tmp_path, [DONE], project=str(repository)))
    await ended(engine, id_)
    (one,) = await given(engine, id_)
    assert (one.how, one.used) == (How.PROMPT, None) and ".claude is no folder of its workspace" in one.note
    assert "The tide is high." in (run_dir(home, id_, 1).path / "prompt").read_text()
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_in_the_users_own_checkout_it_is_told_in_the_prompt(
    engine: Engine, home: Path, repository: Path, tmp_path: Path, config: Path
) -> None:
    spec = job(
        tmp_path,
        [run("ls -a"), DONE],
        project=str(repository),
        workspace=Workspace.PROJECT,
    )
    (id_,) = await submit(engine, spec)
    await ended(engine, id_)
    (one,) = await given(engine, id_)
    assert one.how is How.PROMPT and "your own directory" in one.note
    told = (run_dir(home, id_, 1).path / "prompt").read_text()
    assert "The tide is high." in told and "<file>scripts/run.sh</file>" in told and str(config / "mine") in told
    assert ".claude" not in run_dir(home, id_, 1).stdout.read_text()


async def test_in_a_directory_of_its_own_it_needs_no_git(
    engine: Engine, home: Path, tmp_path: Path, config: Path
) -> None:
    (id_,) = await submit(
        engine,
        job(tmp_path, [run("cat .agents/skills/mine/SKILL.md"), DONE]),
    )
    await ended(engine, id_)
    assert "The tide is high." in run_dir(home, id_, 1).stdout.read_text()
    assert list((home / "work" / str(id_)).iterdir()) == []


async def test_a_command_takes_no_skill(engine: Engine, config: Path) -> None:
    with pytest.raises(EntryError, match="shell takes no skills: leave them out"):
        await submit(engine, JobSpec(prompt="true", agent="shell", skills=["mine"]))


async def test_a_name_that_no_skill_has_is_refused_at_once(engine: Engine, tmp_path: Path, config: Path) -> None:
    with pytest.raises(EntryError, match=r"skills: no skill 'mina'; did you mean 'mine'\?"):
        await submit(engine, job(tmp_path, [], skills=["mina"]))
    (config / "mine" / "SKILL.md").write_text("no head")
    with pytest.raises(EntryError, match=r"skills: skill 'mine': SKILL\.md must begin with a line of ---"):
        await submit(engine, job(tmp_path, []))


async def test_one_that_is_gone_when_the_job_starts_ends_it_with_a_word(
    engine: Engine, repository: Path, tmp_path: Path, config: Path
) -> None:
    (id_,) = await submit(engine, job(tmp_path, [], project=str(repository), not_before="1h"))
    (config / "mine" / "SKILL.md").unlink()
    await engine.act(Order(verb=Verb.SNOOZE, jobs=[id_], until=None), "tester")
    row, _ = await ended(engine, id_)
    assert (row.state, row.failure) == (State.FAILED, Failure.SPAWN_FAILED)
    assert row.reason == "the job's skill 'mine' cannot be given: there is no SKILL.md in it"


async def test_skills_match_where_that_is_on_and_say_why(
    home: Path, repository: Path, tmp_path: Path, config: Path
) -> None:
    always = write_skill(tmp_path / "project" / ".headway" / "skills", "house-rules", body="Be kind.").name
    run_git(repository, "add", ".")
    run_git(repository, "commit", "--quiet", "--message", "rules")
    own = ProjectSkills(trusted=True, always=[always, "nowhere"])
    settings = Settings(
        grace=1.0,
        skills=SkillSettings(match=True, most=1),
        projects={"p": ProjectSettings(path=str(repository), skills=own)},
    )
    async with serving(home, settings) as engine:
        spec = job(tmp_path, [DONE], project="p", skills=[], tags=["mine"])
        (id_,) = await submit(engine, spec)
        await ended(engine, id_)
        told = {one.name: one for one in await given(engine, id_)}
        assert told["mine"].reason == "the job's tag 'mine' names it" and told["mine"].score
        assert told["house-rules"].reason == "its project always gives it"
        assert told["house-rules"].source == "project"
        assert (told["nowhere"].how, told["nowhere"].note) == (How.LEFT_OUT, "there is none of that name")
        (later,) = await submit(engine, job(tmp_path, [], skills=[], tags=["mine"], not_before="1h"))
        (ahead,) = (await engine.shelf.of_job(later)).ahead
        assert (ahead.name, ahead.reason) == ("mine", "the job's tag 'mine' names it")


async def test_after_a_kill_the_next_engine_takes_it_away(
    home: Path, repository: Path, tmp_path: Path, config: Path, settings: Settings
) -> None:
    """The agent runs on while no engine looks; the one that adopts it finds in the run directory what lies where."""
    go = tmp_path / "go"
    steps = [
        run(f"while [ ! -e {go} ]; do sleep 0.05; done; cat .claude/skills/mine/SKILL.md"),
        DONE,
    ]
    async with serving(home, settings) as engine:
        (id_,) = await submit(engine, job(tmp_path, steps, project=str(repository)))
        await launched(engine, id_)
    worktree = home / "worktrees" / "1-do-it"
    assert (worktree / ".claude" / "skills" / "mine" / "SKILL.md").is_file()
    assert "headway" in (repository / ".git" / "info" / "exclude").read_text()
    async with serving(home, settings) as engine:
        go.touch()
        row, (attempt,) = await ended(engine, id_)
        assert row.state is State.SUCCEEDED and attempt.diff_files == 0
        (one,) = await given(engine, id_)
        assert one.used is True, "what it had printed before was read too"
    assert not worktree.exists()
    assert "headway" not in (repository / ".git" / "info" / "exclude").read_text()


async def test_a_repository_that_cannot_be_told_ends_the_job_with_a_word(
    engine: Engine, home: Path, repository: Path, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(file: Path, marker: str, patterns: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(exclude, "add", denied)
    (id_,) = await submit(engine, job(tmp_path, [DONE], project=str(repository), max_attempts=1))
    row, _ = await ended(engine, id_)
    assert (row.state, row.failure) == (State.FAILED, Failure.SPAWN_FAILED)
    assert (row.reason or "").startswith("what it is told cannot be put into its workspace: ")
    assert not list((home / "worktrees").rglob("SKILL.md"))


async def test_a_session_that_goes_on_is_not_told_twice(
    engine: Engine, home: Path, tmp_path: Path, config: Path, repository: Path
) -> None:
    broken: list[dict[str, object]] = [{"do": "say", "text": "begun"}, {"do": "fail", "kind": "crash"}]
    model = rehearsal(tmp_path, [*broken], [DONE])
    spec = JobSpec(
        prompt="do it", agent="rehearsal", model=model, project=str(repository), workspace=Workspace.PROJECT,
        skills=["mine"],
    )  # fmt: skip
    (id_,) = await submit(engine, spec)
    _, attempts = await ended(engine, id_)
    assert len(attempts) == 2 and attempts[1].resumes is not None, [one.reason for one in attempts]
    assert "The tide is high." in (run_dir(home, id_, 1).path / "prompt").read_text()
    assert "The tide is high." not in (run_dir(home, id_, 2).path / "prompt").read_text()
    (one,) = await given(engine, id_, 2)
    assert (one.how, one.note) == (How.PROMPT, kit.TOLD_BEFORE)


async def test_what_was_placed_before_a_start_that_failed_is_taken_away(
    home: Path, repository: Path, tmp_path: Path, config: Path
) -> None:
    settings = Settings(grace=1.0, agents={"rehearsal": AgentSettings(command=["/nonexistent/program"])})
    async with serving(home, settings) as engine:
        (id_,) = await submit(engine, job(tmp_path, [], project=str(repository), max_attempts=1))
        row, _ = await ended(engine, id_)
        assert row.state is State.FAILED
    assert "headway" not in (repository / ".git" / "info" / "exclude").read_text()
    assert not list((home / "worktrees").rglob("SKILL.md"))


def a_kit(home: Path, **more: Any) -> tuple[RunDir, Path]:
    run_ = run_dir(home, 1, 1)
    run_.make()
    place = home / "worktrees" / "1-do-it" / ".claude" / "skills" / "mine"
    write_skill(place.parent, "mine")
    kept = Given(name="mine", how=How.NATIVE, reason="x")
    root = str(home / "worktrees" / "1-do-it")
    kit.note_kit(run_, kit.Kit([kept], **{"placed": {str(place): "0" * 64}, "root": root, "marker": "m", **more}))
    return run_, place


async def test_the_list_of_what_to_take_away_is_believed_of_workspaces_alone(tmp_path: Path) -> None:
    """It lies where an agent could write it."""
    home = tmp_path / "home"
    mine = write_skill(tmp_path / "person", "diary")
    run_, _ = a_kit(home, placed={str(mine): "0" * 64}, root=str(tmp_path / "person"))
    await kit.take_away(run_)
    assert mine.is_dir()
    run_, _ = a_kit(
        home, placed={str(home / "worktrees" / "1-do-it" / ".." / ".." / ".." / "person" / "diary"): "0" * 64}
    )
    await kit.take_away(run_)
    assert mine.is_dir()
    run_, place = a_kit(home)
    (place / "SKILL.md").unlink()
    place.rmdir()
    place.parent.rmdir()
    place.parent.symlink_to(tmp_path / "person")
    (tmp_path / "person" / "mine").mkdir()
    await kit.take_away(run_)
    assert (tmp_path / "person" / "mine").is_dir()


async def test_a_run_without_a_list_has_nothing_to_take_away(tmp_path: Path) -> None:
    run_ = run_dir(tmp_path / "home", 1, 1)
    run_.make()
    await kit.take_away(run_)
    (run_.path / kit.KIT).write_text("no json")
    await kit.take_away(run_)


@pytest.mark.parametrize("text", [None, "", "# mine\n*.log\n", "# no newline at the end", "a\r\nb\r\n", "\n\n"])
def test_what_else_is_excluded_stays_byte_for_byte(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "info" / "exclude"
    if text is not None:
        file.parent.mkdir()
        file.write_bytes(text.encode())
    exclude.add(file, "first", ["/a/"])
    exclude.add(file, "second", ["/b/", "/c/"])
    lines = file.read_bytes().decode().split("\n")
    assert [line for line in lines if line in ("/a/", "/b/", "/c/")] == ["/a/", "/b/", "/c/"]
    exclude.remove(file, "first")
    assert b"/a/" not in file.read_bytes() and b"/b/\n/c/\n" in file.read_bytes()
    exclude.remove(file, "second")
    exclude.remove(file, "second")
    assert file.read_bytes().decode() == (text or "")


def test_a_pattern_excludes_just_its_folder() -> None:
    assert exclude.pattern("sub [1]/.claude/skills/a") == r"/sub\ \[1\]/.claude/skills/a/"


def call(name: str, tool: str, summary: str) -> said.ToolCall:
    return said.ToolCall(name, tool, summary)


@pytest.mark.parametrize(
    ("tool", "summary", "used"),
    [
        ("Skill", "mine", True),
        ("activate_skill", "mine", True),
        ("skill", "other", False),
        ("Read", ".claude/skills/mine/SKILL.md", True),
        ("shell", "/bin/bash -lc 'cat .agents/skills/mine/scripts/run.sh'", True),
        ("shell", "cat docs/skills/mine.md", False),
        ("shell", "echo mine", False),
        ("Read", "src/skills/minefield/SKILL.md", False),
    ],
)
def test_a_skill_counts_as_read_once_its_call_succeeded(tool: str, summary: str, used: bool) -> None:
    uses = Uses(["mine"])
    uses.take(call("1", tool, summary))
    assert not uses.seen
    uses.take(said.ToolResult("1", False, "no"))
    assert not uses.seen
    uses.take(call("2", tool, summary))
    uses.take(said.ToolResult("2", True, json.dumps("yes")))
    assert ("mine" in uses.seen) is used
