"""Files that people write: settings, jobs, pipelines, skills, personas, scenarios, themes, views, memory."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

import engine.pipelines
import engine.rehearsal
from console.theme import read_theme, themes_dir
from console.views import Views
from engine.agents.registry import agents, read_settings
from engine.job_file import read_job_file
from engine.memory.item import Item
from engine.memory.portable import Format, read, write
from engine.personas.finding import read_persona
from engine.personas.persona import FILE as PERSONA
from engine.personas.persona import Source as PersonaSource
from engine.pipelines.finding import read_file
from engine.rehearsal import scenario
from engine.skills.finding import read_skill, shipped_folder
from engine.skills.skill import FILE as SKILL
from engine.skills.validation import validate
from tests.fuzz.contract import told
from tests.fuzz.target import Form, Read, Target, plain

ROOT = Path(__file__).parents[3]
_BLOCKS = re.compile(r"^```(?:yaml|json)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SAMPLE = 6_000  #: bytes of a seed: more is the same again


def _in_docs(*begins: str) -> list[bytes]:
    """The examples of the documentation that begin with one of these keys."""
    found = [
        block
        for path in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md")
        for block in _BLOCKS.findall(path.read_text(encoding="utf-8"))
    ]
    return [one.encode() for one in found if re.search(rf"^(?:{'|'.join(begins)})", one, re.MULTILINE)]


def _files(folder: Path, pattern: str) -> list[bytes]:
    return [path.read_bytes()[:_SAMPLE] for path in sorted(folder.glob(pattern))]


def _in_a_file(name: str, read_at: Callable[[Path], object]) -> Callable[[], contextlib.AbstractContextManager[Read]]:
    """For what reads a file: each input is written into the same one."""

    @contextlib.contextmanager
    def opened() -> Iterator[Read]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)

            def read_one(data: bytes) -> None:
                path.write_bytes(data)
                read_at(path)

            yield read_one

    return opened


def _settings(path: Path) -> None:
    told(str(len(read_settings(path).routes)))


def _job_file(data: bytes) -> None:
    """What is no UTF-8 is refused by who opens the file."""
    listed = read_job_file(data.decode("utf-8", "surrogateescape" if b"\xff" in data else "replace"), "jobs.yaml")
    listed.check()
    msgspec.json.encode(listed.wanted(listed.specs))


def _skill(path: Path) -> None:
    found = read_skill(path.parent)
    for line in (found.problem or "", *found.warnings):
        told(line)
    verdict = validate(path.parent)
    for line in (*verdict.errors, *verdict.advice):
        told(line)
    msgspec.json.encode(found)


def _persona(path: Path) -> None:
    found = read_persona(path.parent, PersonaSource.HOME)
    for line in (found.problem or "", *found.warnings):
        told(line)
    msgspec.json.encode(found)


def _pipeline(path: Path) -> None:
    found = read_file(path, "home", agents())
    told(found.file.problem or "")
    msgspec.json.encode(found.file)


def _memory(data: bytes) -> None:
    """What can be read can be written, in both forms, and means the same then."""
    items = read(data, "memory.md")
    for form in Format:
        again = b"".join(write(items, form))
        assert [_bare(one) for one in read(again, "again")] == [_bare(one) for one in items]


def _bare(item: Item) -> Item:
    """Without its vector; a text by its lines, as Markdown has no other."""
    return msgspec.structs.replace(item, embed_model=None, embed_dim=None, text=item.text.strip("\n"))


def _memories() -> Sequence[bytes]:
    items = [
        Item(id=1, scope="global", kind="fact", text="# a\n<!-- headway: b -->", created_at=1, updated_at=2),
        # type: ignore[arg-type]
        Item(id=2, scope="project:/p", kind="decision", text="two\n\nlines", created_at=3, updated_at=4, subject="s"),  # type: ignore[arg-type]
    ]
    return [b"".join(write(items, form)) for form in Format]


def _theme(path: Path) -> None:
    read_theme(path)


def _views(path: Path) -> None:
    told(Views(path).problem)


TARGETS = (
    Target("config", Form.TREE, lambda: _in_docs(r"[a-z_]+:"), _in_a_file("headway.yaml", _settings)),
    Target(
        "jobs", Form.TREE, lambda: [_JOBS, *_in_docs("jobs:", "- prompt:", "- title:", "- name:")], plain(_job_file)
    ),
    Target(
        "pipelines",
        Form.TREE,
        lambda: _files(Path(engine.pipelines.__file__).parent, "*.yaml"),
        _in_a_file("p.yaml", _pipeline),
    ),
    Target("skills", Form.HEADED, lambda: _files(shipped_folder(), f"*/{SKILL}"), _in_a_file(f"a/{SKILL}", _skill)),
    Target(
        "personas",
        Form.HEADED,
        lambda: [*_files(shipped_folder(), f"*/{SKILL}")[:1], _PERSONA],
        _in_a_file(f"a/{PERSONA}", _persona),
    ),
    Target(
        "scenarios",
        Form.TREE,
        lambda: _files(Path(engine.rehearsal.__file__).parent / "scenarios", "*.yaml"),
        _in_a_file("s.yaml", lambda path: scenario.find(str(path), path.parent)),
    ),
    Target("themes", Form.TREE, lambda: _files(themes_dir(), "*.yaml")[:3], _in_a_file("dusk.yaml", _theme)),
    Target("views", Form.TREE, lambda: [b"mine: {filter: 'st:failed', sort: cost}\n"], _in_a_file("v.yaml", _views)),
    Target("memory", Form.LINES, _memories, plain(_memory)),
)

_JOBS = b"""jobs:
  - {prompt: do it, name: a, title: t, agent: claude, model: opus, account: work, project: /p, priority: 3, tags: [gpu]}
  - prompt: |
      Two
      lines.
    after: [a, 12]
    after_any: [3]
    on_failure: skip
    not_before: 2h
    deadline: 2026-12-01T00:00Z
    timeout: 15m
    stall: 0
    budget: $2
    memory: 1G
    max_attempts: 2
    key: once
    skills: [review]
    mcp: [recall]
    gate: strict
    schema: {type: object}
    temperature: 0.5
    permission: ask
    workspace: worktree
batch: nightly
then: {prompt: sum up}
"""
_PERSONA = b"""---
name: a
description: Reviews what others wrote.
voice: Short.
rules: [never push, always test]
route: large
permission: ask
skills: [review]
memory: [project, persona]
session:
  max_age: 2h
---

You review.
"""
