"""An archive is restored as it was made, or not at all."""

from __future__ import annotations

import io
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import RefusedError, StorageError
from engine.store.schema import migrations
from engine.store.store import FILE
from engine.upkeep import archive
from engine.upkeep.restore import restore
from tests.upkeep.samples import Bench


async def test_an_archive_cannot_write_outside_the_home(bench: Bench, saved: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar.gz"
    text = tmp_path / "text"
    text.write_text("evil")
    before = (bench.home / FILE).read_bytes()
    names = (
        "runs/1/../../../out",
        "/runs/1/1/out",
        "runs/1/1/../../../../out",
        "../out",
        "worktrees/1/out",
        "runs/x/1/a",
    )
    for name in (*names, "runs/1/1/./out", "runs//1/1/out", FILE, "contents.json"):
        with tarfile.open(evil, "w:gz") as archive:
            archive.add(saved, FILE)
            archive.add(text, name)
        with pytest.raises((RefusedError, StorageError), match=r"which it would not|is damaged"):
            restore(evil, bench.home)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
        with tarfile.open(evil, "w:gz") as archive:
            archive.add(saved, FILE)
            link = tarfile.TarInfo("runs/2/1/link")
            link.type, link.linkname = kind, FILE if kind == tarfile.LNKTYPE else str(tmp_path)
            archive.addfile(link)
            archive.add(text, "runs/2/1/link/out")
        with pytest.raises(RefusedError, match="it holds 'runs/2/1/link', which it would not"):
            restore(evil, bench.home)
    assert not list(tmp_path.rglob("out"))
    assert (bench.home / FILE).read_bytes() == before
    assert not list(bench.home.glob("*restoring*"))


@pytest.mark.parametrize(
    "name",
    [f"runs/2/1/{'a' * 300}", f"runs/2/1/{'a/' * 3_000}b", "runs/2/1/e\u0301", "runs/2/1/\udcff", "HEADWAY.DB",
     "Runs/2/1/a", "runs/2/1/a\nb", "runs/\u0662/1/a", "runs/2/1/\u2025/a", "runs\\2\\1\\a", "core/../../out",
     "memory/../out"],
)  # fmt: skip
async def test_an_odd_name_in_an_archive_is_kept_inside_or_refused_in_words(
    bench: Bench, saved: Path, tmp_path: Path, name: str
) -> None:
    evil = tmp_path / "evil.tar.gz"
    member = tarfile.TarInfo(name)
    member.size, member.mtime = 4, 1 << 60
    with tarfile.open(evil, "w:gz") as archive:
        archive.add(saved, FILE)
        archive.addfile(member, io.BytesIO(b"evil"))
    before = {path for path in tmp_path.rglob("*") if bench.home not in path.parents}
    with pytest.raises((RefusedError, StorageError)):
        restore(evil, bench.home)
    assert {path for path in tmp_path.rglob("*") if bench.home not in path.parents} == before


async def test_settings_of_gigabytes_are_read_no_further_than_any_would_be(
    bench: Bench, saved: Path, tmp_path: Path
) -> None:
    """Zeros of that size are some kilobytes in an archive."""
    evil = tmp_path / "evil.tar.gz"
    member = tarfile.TarInfo("headway.yaml")
    member.size = 64 << 20
    with tarfile.open(evil, "w:gz") as archive:
        archive.add(saved, FILE)
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(RefusedError, match="is larger than any that is read"):
        restore(evil, bench.home)


def members(file: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(file) as archive:
        found = [(member, archive.extractfile(member)) for member in archive]
        return [(member, content.read()) for member, content in found if content is not None]


def packed(file: Path, content: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for member, data in content:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file


async def test_an_archive_that_is_not_as_it_was_made_is_refused(bench: Bench, saved: Path, tmp_path: Path) -> None:
    good = saved.with_name("copy.tar.gz")
    whole = members(good)
    assert [member.name for member, _ in whole] == [FILE, "headway.yaml", "runs/1/1/stdout", "contents.json"]
    before = (bench.home / FILE).read_bytes()
    spoilt = tmp_path / "spoilt.tar.gz"

    def refused(file: Path, why: str) -> None:
        with pytest.raises((RefusedError, StorageError), match=why) as said:
            restore(file, bench.home)
        assert str(file) in str(said.value)
        assert "\n" not in str(said.value)
        assert (bench.home / FILE).read_bytes() == before
        assert not list(bench.home.glob("*restoring*"))

    for missing in range(len(whole)):
        why = (
            "there is no headway.db in it"
            if missing == 0
            else "its end is missing"
            if missing == 3
            else "not as it was"
        )
        refused(packed(spoilt, whole[:missing] + whole[missing + 1 :]), why)
    changed = [(member, data.replace(b"printed", b"painted")) for member, data in whole]
    refused(packed(spoilt, changed), "'runs/1/1/stdout' is not as it was saved")
    more = tarfile.TarInfo("runs/9/1/stdout")
    refused(packed(spoilt, [*whole[:3], (more, b"x"), whole[3]]), "'runs/9/1/stdout' is not as it was saved")
    refused(packed(spoilt, [*whole, (more, b"x")]), "which it would not")

    data = good.read_bytes()
    for length in (20, 3_000, len(data) // 2, len(data) - 9, len(data) - 1):
        spoilt.write_bytes(data[:length])
        refused(spoilt, "is damaged")
    for at in (60, len(data) // 3, len(data) - 400, len(data) - 6):
        spoilt.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        refused(spoilt, "is damaged|is no backup|which it would not")
    assert restore(good, bench.home).jobs == 2


@pytest.mark.parametrize("form", ["db", "tar.gz"])
async def test_a_database_inside_that_is_not_whole_is_refused(
    bench: Bench, saved: Path, tmp_path: Path, form: str
) -> None:
    before = (bench.home / FILE).read_bytes()
    for sql, why in (
        ("DROP TABLE submissions", "damaged .it has no table submissions"),
        ("DROP INDEX jobs_unique", "damaged .it has no index jobs_unique"),
        ("DROP TRIGGER jobs_counted_out", "damaged .it has no trigger jobs_counted_out"),
        ("DROP TABLE jobs", "damaged .it has no "),
        (f"PRAGMA user_version = {len(migrations()) + 1}", "written by a newer Headway"),
        ("PRAGMA application_id = 7", "is not a Headway database"),
    ):
        inside = tmp_path / "inside.db"
        shutil.copyfile(saved, inside)
        with closing(sqlite3.connect(inside)) as connection:
            connection.execute(sql)
        file = inside
        if form == "tar.gz":
            file = tmp_path / "inside.tar.gz"
            with file.open("wb") as out:
                archive.pack(out, tmp_path / "none", inside, None)
        with pytest.raises((RefusedError, StorageError), match=why) as said:
            restore(file, bench.home)
        assert str(file) in str(said.value)
        assert (bench.home / FILE).read_bytes() == before
    assert not list(bench.home.glob("*restoring*"))
