"""Names and paths that lead elsewhere, by every call that takes one: nothing outside is read, written or said."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import pytest

from engine.config import Settings
from engine.config.projects import ProjectSettings
from engine.engine import Engine
from engine.model import JobSpec
from engine.model.access import Role, TokenWanted
from engine.worker import WorkerOrder
from tests.server.network import reached

CANARY = "canary-4711"
SKILL = f"---\nname: NAME\ndescription: {CANARY} for tests\n---\n{CANARY}\n"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that is none of the engine's, with everything in it that the engine might take for its own."""
    place = tmp_path / "outside"
    for below, text in (
        (".claude/skills/out/SKILL.md", SKILL.replace("NAME", "out")),
        (".headway/personas/out/PERSONA.md", f"---\nname: out\n---\n{CANARY}\n"),
        (".headway/pipelines/out.yaml", f"about: {CANARY}\nsteps:\n  - name: a\n    prompt: {CANARY}\n"),
        ("secret", CANARY),
        ("out.md", CANARY),
    ):
        (place / below).parent.mkdir(parents=True, exist_ok=True)
        (place / below).write_text(text)
    return place


@pytest.fixture
def project(tmp_path: Path, outside: Path) -> Path:
    """A project, whose agents have left links to what is outside."""
    place = tmp_path / "project"
    skills, pipelines = place / ".claude/skills", place / ".headway/pipelines"
    for folder in (skills / "linked", pipelines, place / ".headway/personas/linked"):
        folder.mkdir(parents=True)
    (skills / "linked/SKILL.md").symlink_to(outside / "secret")
    (skills / "folder").symlink_to(outside / ".claude/skills/out")
    (pipelines / "linked.yaml").symlink_to(outside / "secret")
    (pipelines / "found.yaml").symlink_to(outside / ".headway/pipelines/out.yaml")
    (place / ".headway/personas/linked/PERSONA.md").symlink_to(outside / ".headway/personas/out/PERSONA.md")
    return place


@pytest.fixture
def settings(settings: Settings, project: Path) -> Settings:
    return msgspec.structs.replace(settings, projects={"api": ProjectSettings(path=str(project))})


def _names(outside: Path) -> Iterator[str]:
    yield from ("../outside/secret", f"../../../../../../../..{outside}/out", str(outside / "secret"), "..", "x\0y\n")


async def test_no_name_leads_out(engine: Engine, outside: Path, project: Path) -> None:
    before = _everything(outside.parent, engine.home)
    async with reached(engine) as there:
        admin = {"Authorization": f"Bearer {await there.token(Role.ADMIN)}"}
        context = ssl.create_default_context(cafile=there.certificate)
        async with httpx.AsyncClient(verify=context, base_url=there.url, headers=admin) as http:
            for name in _names(outside):
                for answer in [one async for one in _asked(http, name)]:
                    told = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}"
                    assert answer.status_code < 500, told
                    assert CANARY not in answer.text, told
            # By the project itself: what its agents linked to.
            for path in (
                "/v1/skills", "/v1/skills/linked/text", "/v1/skills/folder/text", "/v1/skills/out/text",
                "/v1/personas", "/v1/personas/linked",
                "/v1/pipelines/files", "/v1/pipelines/files/linked", "/v1/pipelines/files/found",
            ):  # fmt: skip
                answer = await http.get(path, params={"project": "api"})
                assert CANARY not in answer.text, f"{path}: {answer.text[:300]}"
    assert _everything(outside.parent, engine.home) == before


async def _asked(http: httpx.AsyncClient, name: str) -> object:
    """Every call that takes a name or a path of a file, with this one."""
    part = quote(name, safe="")
    for path in (
        f"/v1/skills/{part}/text", f"/v1/personas/{part}", f"/v1/workers/{part}", f"/v1/pipelines/files/{part}",
        f"/v1/schedules/{part}", f"/v1/schedules/{quote(name)}", f"/v1/jobs/{part}/output", f"/v1/jobs/{part}/diff",
        f"/v1/jobs/1/output?attempt={part}", f"/v1/memory/{part}", f"/v1/memory/core?scope=persona:{part}",
        f"/v1/memory/core?scope=project:{part}", f"/v1/agents?name={part}", f"/v1/tax?project={part}",
    ):  # fmt: skip
        yield await http.get(path)
    job = {"prompt": "true", "agent": "shell"}
    for key in ("name", "persona", "worker", "base", "gate"):
        yield await http.post("/v1/jobs", json={"jobs": [{**job, key: name}], "dry_run": True})
    yield await http.post("/v1/jobs", json={"jobs": [{**job, "skills": [name], "tags": [name]}], "dry_run": True})
    spec = {"cron": "0 2 * * *", "job": job}
    yield await http.post(f"/v1/schedules/{part}", json={"verb": "add", "spec": spec, "dry_run": True})
    worker = {"verb": "add", "spec": {"persona": name, "project": "api"}}
    yield await http.post(f"/v1/workers/{part}", json=worker)
    yield await http.post("/v1/pipelines", json={"name": name, "what": "x", "project": "api", "dry_run": True})
    yield await http.put("/v1/memory/core", json={"scope": f"persona:{name}", "text": "written"})
    yield await http.delete(f"/v1/tokens/{part}")
    yield await http.post("/v1/tokens", json={"name": name})


async def test_a_viewer_looks_into_no_directory_that_is_no_project(
    engine: Engine, outside: Path, project: Path
) -> None:
    paths = ("/v1/skills", "/v1/skills/out/text", "/v1/personas", "/v1/pipelines/files", "/v1/pipelines/files/out")
    async with reached(engine) as there:
        viewer = {"Authorization": f"Bearer {await there.token(Role.VIEWER)}"}
        context = ssl.create_default_context(cafile=there.certificate)
        async with httpx.AsyncClient(verify=context, base_url=there.url, headers=viewer) as http:
            for path in paths:
                for directory in (str(outside), f"{project}/../outside", os.path.relpath(outside)):
                    answer = await http.get(path, params={"project": directory})
                    assert (answer.status_code, CANARY in answer.text) == (403, False), answer.text
                for known in ("api", str(project)):
                    assert (await http.get(path, params={"project": known})).status_code in (200, 404)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (JobSpec, {"prompt": "p", "name": "a\n"}),
        (JobSpec, {"prompt": "p", "tags": ["a\n"]}),
        (JobSpec, {"prompt": "p", "base": "main\n"}),
        (WorkerOrder, {"verb": "add", "spec": {"persona": "p", "project": "api", "route": "a\n"}}),
        (Settings, {"workers": {"a\n": {"persona": "p", "project": "api"}}}),
        (Settings, {"schedules": {"a\n": {"cron": "0 2 * * *", "job": {"prompt": "p"}}}}),
        (TokenWanted, {"name": "a\n"}),
    ],
)
def test_no_name_has_a_second_line(kind: type, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(value), type=kind)


def _everything(root: Path, home: Path) -> dict[str, bytes]:
    """What is there but for the home."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_relative_to(home))
    return {str(path): path.read_bytes() for path in files}
