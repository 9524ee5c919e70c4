"""The house keeps its shape: imports point down, every module is reached, and the promises of the layout hold."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from console.cli.families import FAMILIES
from console.screens.places import PLACES

ROOT = Path(__file__).parents[1]

#: Rooms from the ground up. A module may import from its own floor and from those below.
FLOORS: list[set[str]] = [
    {
        "engine",
        "engine.clock",
        "engine.errors",
        "engine.model",
        "engine.decision",
        "engine.briefing",
        "engine.worker",
        "engine.hand_off",
        "engine.notice",
        "engine.money",
        "engine.budgets",
        "engine.sessions",
        "engine.documents",
        "engine.units",
        "engine.window",
        "engine.interval",
        "engine.schedule",
        "engine.alarm",
        "engine.plain",
        "engine.network.allowed",
        "engine.redact",
        "engine.modes",
        "engine.paths",
        "engine.foreign",
        "engine.threads",
    },
    {
        "engine.events",
        "engine.agents.events",
        "engine.transitions",
        "engine.home",
        "engine.tally",
        "engine.hub",
        "engine.pulse",
        "engine.logs",
        "engine.skills",
        "engine.timetable",
    },
    {
        "engine.config",
        "engine.personas",
        "engine.rehearsal",
        "engine.permission",
        "engine.policy",
        "engine.dispatch.windows",
    },
    {"engine.spend.prices", "engine.spend.budgets", "engine.spend.reconcile", "engine.spend.exports"},
    {"engine.agents"},
    {"engine.store", "engine.memory"},
    {"engine.passing"},
    {
        "engine.submission",
        "engine.entry",
        "engine.job_file",
        "engine.context",
        "engine.dispatch",
        "engine.runner",
        "engine.network",
        "engine.tap",
        "engine.upkeep",
        "engine.spend",
        "engine.gate",
        "engine.mcp",
        "engine.merge",
    },
    {
        "engine.foresight",
        "engine.keyless",
        "engine.orders",
        "engine.accounts",
        "engine.drift",
        "engine.takeover",
        "engine.inbox",
        "engine.notify",
        "engine.card_kinds",
        "engine.routes",
        "engine.weather",
        "engine.metrics",
        "engine.monitoring",
        "engine.triage",
        "engine.scoreboard",
        "engine.races",
        "engine.merges",
        "engine.pipelines",
        "engine.gates",
        "engine.opinion",
        "engine.last_words",
        "engine.shelf",
        "engine.contexts",
        "engine.extraction",
        "engine.remembering",
        "engine.staff",
        "engine.scheduling",
        "engine.tokens",
        "engine.audit",
        "engine.clock_watch",
        "engine.telemetry",
        "engine.cluster",
    },
    {"engine.tax"},
    {"engine.drill", "engine.simulation"},
    {"engine.engine"},
    {"engine.serving"},
    {"engine.server"},
    {"engine.remote"},
    {"engine.doctor"},
    {"console"},
]

#: What the console may know of the engine: the nouns, the words of its streams, and its client.
CONSOLE_KNOWS = {
    "engine", "engine.model", "engine.model.forecast", "engine.model.listing", "engine.model.route",
    "engine.model.trend", "engine.money",
    "engine.briefing", "engine.budgets", "engine.decision",
    "engine.sessions", "engine.window", "engine.events", "engine.agents.events", "engine.errors", "engine.schedule",
    "engine.clock", "engine.documents", "engine.home", "engine.logs", "engine.notice", "engine.hand_off",
    "engine.worker", "engine.server.client",
    "engine.memory.answers", "engine.memory.item", "engine.paths", "engine.plain",
    "engine.skills.skill", "engine.skills.stats",
    "engine.model.race", "engine.model.score", "engine.model.tax", "engine.model.node",
}  # fmt: skip

TOP_LEVEL = {
    "console", "engine", "tests", "themes", "skills", "docs", "pyproject.toml", "Makefile", "README.md", "LICENSE",
    "CHANGELOG.md", "Dockerfile",
}  # fmt: skip


def _modules() -> dict[str, Path]:
    found = {}
    for package in ("engine", "console"):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


@cache
def _imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name.split(".")[0] in ("engine", "console")}


def _floor(module: str) -> int:
    """The floor of the longest name that fits."""
    fits = [
        (len(name), floor)
        for floor, names in enumerate(FLOORS)
        for name in names
        if module == name or (module.startswith(f"{name}.") and name != "engine")
    ]
    assert fits, f"{module} has no floor: give it one in FLOORS"
    return max(fits)[1]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module: str) -> None:
    for imported in _imports(MODULES[module]):
        assert _floor(imported) <= _floor(module), f"{module} imports {imported}, which lives above it"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("console.")))
def test_the_console_is_only_a_client(module: str) -> None:
    if module.startswith(("console.cli", "console.fire")):
        return  # the command line also starts engines and reads job files; the fire drill does things to them
    foreign = {name for name in _imports(MODULES[module]) if name.startswith("engine")} - CONSOLE_KNOWS
    assert not foreign, f"{module} knows {sorted(foreign)} of the engine"


def test_yaml_is_read_in_one_place() -> None:
    """Whoever reads it elsewhere reads it without the bounds of `engine.documents.door`. Writing is free."""
    writes = {"safe_dump", "dump"}
    for module, path in MODULES.items():
        if module == "engine.documents.door":
            continue
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "yaml" in text else ():
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "yaml":
                pytest.fail(f"{module} takes {[one.name for one in node.names]} of yaml")
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "yaml"
            ):
                assert node.func.attr in writes, f"{module} calls yaml.{node.func.attr}: read by engine.documents"


def test_every_module_is_reached_from_the_entry_point() -> None:
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["headway"].split(":")[0]
    reached, waiting = set(), [entry, "console.cli.__main__", *(f"console.cli.{name}" for name in FAMILIES)]
    waiting += [f"console.screens.{place.name}" for place in PLACES]
    while waiting:
        module = waiting.pop()
        if module in reached or module not in MODULES:
            continue
        reached.add(module)
        parents = [".".join(module.split(".")[:n]) for n in range(1, module.count(".") + 1)]
        waiting += [*_imports(MODULES[module]), *parents]
    unreached = set(MODULES) - reached
    assert not unreached, f"nothing reaches {sorted(unreached)}"


def test_the_top_level_holds_the_agreed_names() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    names = {line.split("/")[0] for line in tracked if line and not line.startswith(".")}
    assert names <= TOP_LEVEL


def test_nothing_committed_carries_a_path_of_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True).stdout.split(b"\0")
    home = re.compile(rb"/(?:root|home/(?!you/)[a-z]+|Users)/[A-Za-z.]")
    for name in filter(None, tracked):
        path = ROOT / name.decode()
        if path == Path(__file__) or not path.exists():
            continue
        assert not home.search(path.read_bytes()), f"{path} names a home directory"


def test_transitions_alone_change_a_state() -> None:
    """No code but the fold assigns a job's state."""
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if module != "engine.store.fold" and re.search(r"UPDATE jobs SET[^\"]*\bstate\b", text):
            pytest.fail(f"{module} changes a state past the table of transitions")
