"""The programs that come with skills do what their pages say."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2] / "skills"
KIND = "<time> INFO request <n> from <address> took <n> ms"


def run(skill: str, script: str, *arguments: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(ROOT / skill / "scripts" / script), *arguments]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=60)


def log(folder: Path) -> str:
    lines = [
        f"2026-03-01T10:{n // 60:02}:{n % 60:02}Z INFO request {n} from 10.0.0.{n % 250} took {n % 7} ms"
        for n in range(300)
    ]
    lines[200] = "2026-03-01T10:03:20Z WARN pool has 0 of 50 connections left"
    lines[201:205] = [f"2026-03-01T10:03:2{n}Z ERROR pool timeout after 31 ms for 8f3a{n}" for n in range(1, 5)]
    (folder / "app.log").write_text("\n".join(lines) + "\n")
    return "app.log"


def test_the_kinds_of_a_log(tmp_path: Path) -> None:
    told = run("log-forensics", "logwindow.py", "kinds", log(tmp_path), cwd=tmp_path).stdout.splitlines()
    assert told[0] == "300 lines, 3 kinds"
    assert told[2].split() == ["295", "1", "300", *KIND.split()]
    assert told[3].split()[:3] == ["4", "202", "205"] and "pool timeout after <n> ms for <hex>" in told[3]
    (tmp_path / "app.log.gz").write_bytes(gzip.compress((tmp_path / "app.log").read_bytes()))
    assert run("log-forensics", "logwindow.py", "kinds", "app.log.gz", cwd=tmp_path).stdout.splitlines() == told
    piped = run("log-forensics", "logwindow.py", "kinds", "-", cwd=tmp_path, stdin=(tmp_path / "app.log").read_text())
    assert piped.stdout.splitlines() == told


def test_the_first_line_that_matches_with_what_is_around_it(tmp_path: Path) -> None:
    done = run("log-forensics", "logwindow.py", "first", log(tmp_path), "pool timeout", "--around", "2", cwd=tmp_path)
    told = done.stdout.splitlines()
    assert [line.split()[0] for line in told] == ["200", "201", "202", "203", "204"]
    assert "> 2026-03-01T10:03:21Z ERROR" in told[2] and "WARN pool" in told[1] and "* 2026" in told[3]
    assert (done.returncode, done.stderr.strip()) == (0, "4 lines match")
    assert run("log-forensics", "logwindow.py", "first", "app.log", "no such thing", cwd=tmp_path).returncode == 1
    assert "the pattern" in run("log-forensics", "logwindow.py", "first", "app.log", "(", cwd=tmp_path).stderr


def test_the_rate_of_a_pattern(tmp_path: Path) -> None:
    told = run("log-forensics", "logwindow.py", "rate", log(tmp_path), "pool timeout", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[:3] for line in told] == [["2026-03-01", f"10:0{n}", "4" if n == 3 else "0"] for n in range(5)]
    plain = "10:00:01 x\n10:00:02 bad\nno time: bad\n10:01:00 bad\n"
    told = run("log-forensics", "logwindow.py", "rate", "-", "bad", cwd=tmp_path, stdin=plain).stdout.splitlines()
    assert [line.split()[:2] for line in told] == [["10:00", "2"], ["10:01", "1"]]


def test_repeated_runs_say_what_they_allow(tmp_path: Path) -> None:
    good = run("flaky-test-hunter", "repeat.py", "-n", "20", "--", "true", cwd=tmp_path)
    assert good.returncode == 0 and "0 of 20 failed" in good.stdout and "below 13.9% (95 %)" in good.stdout
    script = 'n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; echo "run $n"; test $((n % 4)) -ne 3'
    bad = run("flaky-test-hunter", "repeat.py", "-n", "12", "--load", "1", "--", "sh", "-c", script, cwd=tmp_path)
    assert bad.returncode == 1
    assert (
        "...F...F...F" in bad.stdout
        and "3 of 12 failed" in bad.stdout
        and "25.0%, between 8.9% and 53.2%" in bad.stdout
    )
    (kept,) = (tmp_path / "repeat-failures").iterdir()
    assert kept.read_text() == "run 3\n", "one of a kind is kept"
    late = run("flaky-test-hunter", "repeat.py", "-n", "1", "--timeout", "0.2", "--", "sleep", "60", cwd=tmp_path)
    assert "1x exit timeout" in late.stdout


def test_a_profile_of_a_table(tmp_path: Path) -> None:
    rows = ["id,code,price,at", *(f"{n},0{n},{n}.5,2026-01-0{n % 9 + 1}" for n in range(1, 20)), "19,019,,-", "20,xx"]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    told = run("data-quality-check", "profile.py", "t.csv", "--key", "id", cwd=tmp_path).stdout
    assert "t.csv: 21 rows, 4 columns" in told
    assert "duplicates by key id: 1, such as row 20" in told
    assert "odd: 1 rows have 2 fields instead of 4" in told
    assert "code: digits 20, text 1" in told and "mixed: 1 of kind text among digits" in told
    assert "empty 5.0%: 'empty' 1; absent 1" in told and "from 1.5 to 19.5" in told


def test_what_differs_from_another_table(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("id,state,gone\n" + "".join(f"{n},open,x\n" for n in range(10)))
    (tmp_path / "new.ndjson").write_text(
        "".join(f'{{"id": {n}, "state": "{"odd" if n == 3 else "open"}", "more": null}}\n' for n in range(20))
    )
    done = run("data-quality-check", "profile.py", "new.ndjson", "--against", "old.csv", cwd=tmp_path)
    told = done.stdout.splitlines()
    assert told[0] == "rows 10 -> 20 (+100.0%)" and done.returncode == 1
    for line in ("id: range 0..9 -> 0..19", "state: values that were not there: odd", "gone: gone", "more: new: empty"):
        assert line in told
    same = run("data-quality-check", "profile.py", "old.csv", "--against", "old.csv", cwd=tmp_path)
    assert same.stdout.splitlines()[-1] == "0 differences" and same.returncode == 0
