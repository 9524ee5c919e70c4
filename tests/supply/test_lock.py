"""The lock files hold all that is asked for, each with its hashes, and an environment made by them nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.supply.lock import (
    BUILD,
    FILES,
    FOLDER,
    OWN,
    SERVED,
    SUPPLY,
    LockError,
    asked,
    asked_by,
    entry,
    here,
    read,
    unmet,
)

HASH = f"--hash=sha256:{'a' * 64}"
#: What makes an environment, and is there before anything is installed.
MAKERS = {"pip", "setuptools", "wheel"}


def _installed() -> dict[str, Distribution]:
    return {canonicalize_name(one.name): one for one in distributions()}


def test_an_entry_is_one_version_with_its_hashes() -> None:
    one = entry(f"Some_Thing==1.2 ; python_version >= '3' {HASH} {HASH}")
    assert (one.name, str(one.version), len(one.hashes), one.here) == ("some-thing", "1.2", 2, True)
    assert not entry(f"x==1 ; python_version < '3' {HASH}").here


@pytest.mark.parametrize(
    "line",
    [
        "x==1",
        f"x>=1 {HASH}",
        f"x==1.* {HASH}",
        f"x==1,!=2 {HASH}",
        "x==1 --hash=md5:abc",
        f"x @ https://host/x.whl {HASH}",
        "--index-url https://host/simple",
        "-e .",
    ],
)
def test_what_is_no_entry_is_refused(line: str) -> None:
    with pytest.raises(LockError):
        entry(line)


def test_no_file_says_where_packages_come_from() -> None:
    for name in (*FILES, BUILD, SUPPLY):
        text = (FOLDER / name).read_text()
        assert "://" not in text and "index-url" not in text
        assert read([name]), "every line is an entry"


@pytest.mark.parametrize(
    ("names", "extras"),
    [(FILES[:1], SERVED), (FILES[:2], (*SERVED, "dev")), (FILES, None)],
    ids=["image", "dev", "all"],
)
def test_the_lock_holds_what_the_project_asks_for(names: tuple[str, ...], extras: tuple[str, ...] | None) -> None:
    entries = read(names)
    assert unmet(asked(extras), here(entries)) == [], "make lock"
    assert unmet(asked_by("supply"), here(read([SUPPLY]))) == []
    names_here = [one.name for one in entries if one.here]
    assert len(names_here) == len(set(names_here)), "one version of each"


def test_what_is_missing_or_too_old_is_told() -> None:
    locked = here([entry(f"msgspec==0.1 {HASH}")])
    assert unmet([Requirement("msgspec>=0.20"), Requirement("x"), Requirement("y; python_version < '3'")], locked) == [
        "msgspec>=0.20: 0.1 is locked",
        "x: it is not locked",
    ]


def test_what_a_locked_package_needs_is_locked_too() -> None:
    locked, installed = here(read()), _installed()
    wrong: list[str] = []
    for name, one in locked.items():
        found = installed.get(name)
        if found is not None and Version(found.version) == one.version:
            needs = [need for need in map(Requirement, found.requires or ()) if _plain(need)]
            wrong += [f"{name}: {line}" for line in unmet(needs, locked)]
    assert wrong == []


def _plain(need: Requirement) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": ""})


@pytest.mark.skipif(not os.environ.get("HEADWAY_LOCKED"), reason="this environment was not made by the lock")
def test_this_environment_is_the_lock_and_nothing_else() -> None:
    assert list(_outside()) == []


def _outside() -> Iterator[str]:
    locked = here(read(FILES[:2]))
    for name, found in sorted(_installed().items()):
        if name in MAKERS or name == OWN:
            continue
        if name not in locked:
            yield f"{name}: it is not locked"
        elif Version(found.version) != locked[name].version:
            yield f"{name}: {found.version} is here, {locked[name].version} is locked"
