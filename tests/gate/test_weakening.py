"""Which changes make tests weaker, and which do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gate.patch import files
from engine.gate.weakening import is_test, weakened
from tests.conftest import run_git

TEST = """import pytest


def test_adds():
    assert add(1, 2) == 3
    assert add(0, 0) == 0


def test_fails():
    with pytest.raises(ValueError):
        add(None, 1)
"""


def diff(tmp_path: Path, before: dict[str, str], after: dict[str, str]) -> str:
    """As git tells it."""
    for name, text in before.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    run_git(tmp_path, "init", "--quiet")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "--quiet", "--message", "before")
    for name in before:
        (tmp_path / name).unlink()
    for name, text in after.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    run_git(tmp_path, "add", "--all")
    return run_git(tmp_path, "diff", "--cached", "-M", "--binary")


GO = 'package x\n\nfunc TestSum(t *testing.T) {\n\tif sum(1, 2) != 3 {\n\t\tt.Errorf("no")\n\t}\n}\n'
JS = "describe('sum', () => {\n  it('adds', () => {\n    expect(sum(1, 2)).toBe(3);\n  });\n});\n"
RUST = "#[test]\nfn adds() {\n    assert_eq!(add(1, 2), 3);\n}\n"

WEAKER = {
    "deleted": ({"tests/test_a.py": TEST}, {}, "it was deleted"),
    "one removed": ({"tests/test_a.py": TEST}, {"tests/test_a.py": TEST[: TEST.index("def test_fails")]}, "1 test was"),
    "skipped": (
        {"tests/test_a.py": TEST},
        {"tests/test_a.py": TEST.replace("def test_fails", "@pytest.mark.skip\ndef test_fails")},
        "tests are skipped",
    ),
    "expected to fail": (
        {"tests/test_a.py": TEST},
        {"tests/test_a.py": TEST.replace("def test_fails", "@pytest.mark.xfail(strict=False)\ndef test_fails")},
        "tests are skipped",
    ),
    "an assertion dropped": (
        {"tests/test_a.py": TEST},
        {"tests/test_a.py": TEST.replace("    assert add(0, 0) == 0\n", "")},
        "1 assertion was dropped",
    ),
    "an assertion emptied": (
        {"tests/test_a.py": TEST},
        {"tests/test_a.py": TEST.replace("assert add(1, 2) == 3", "assert True")},
        "asserts what is always true",
    ),
    "no test any more by its name": (
        {"tests/test_a.py": TEST},
        {"attic/old.py": TEST},
        "it is no test any more",
    ),
    "left out by a setting": (
        {"pyproject.toml": "[tool.pytest.ini_options]\n"},
        {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--ignore=tests/test_a.py"\n'},
        "leaves tests out",
    ),
    "left out by a conftest": (
        {"tests/conftest.py": "import x\n"},
        {"tests/conftest.py": 'import x\n\ncollect_ignore = ["test_a.py"]\n'},
        "leaves tests out",
    ),
    "go, skipped": (
        {"x_test.go": GO},
        {"x_test.go": GO.replace("{\n\tif", '{\n\tt.Skip("later")\n\tif')},
        "tests are skipped",
    ),
    "javascript, skipped": ({"a.test.ts": JS}, {"a.test.ts": JS.replace("it(", "it.skip(")}, "tests are skipped"),
    "javascript, only another": ({"a.test.ts": JS}, {"a.test.ts": JS.replace("it(", "it.only(")}, "tests are skipped"),
    "rust, ignored": ({"tests/a.rs": RUST}, {"tests/a.rs": RUST.replace("#[test]", "#[test]\n#[ignore]")}, "skipped"),
}

AS_STRONG = {
    "new tests": ({"a.py": "x"}, {"a.py": "x", "tests/test_a.py": TEST}),
    "moved": ({"tests/test_a.py": TEST, "b.py": "x"}, {"tests/unit/test_adding.py": TEST, "b.py": "x"}),
    "moved in part": (
        {"tests/test_a.py": TEST, "tests/test_b.py": "import pytest\n"},
        {
            "tests/test_a.py": TEST[: TEST.index("def test_fails")],
            "tests/test_b.py": "import pytest\n\n" + TEST[TEST.index("def test_fails") :],
        },
    ),
    "renamed": ({"tests/test_a.py": TEST}, {"tests/test_a.py": TEST.replace("test_adds", "test_it_adds")}),
    "another expectation": ({"tests/test_a.py": TEST}, {"tests/test_a.py": TEST.replace("== 3", "== 4")}),
    "a skip taken out": (
        {"tests/test_a.py": TEST.replace("def test_fails", "@pytest.mark.skip\ndef test_fails")},
        {"tests/test_a.py": TEST},
    ),
    "code alone": ({"src/a.py": "def add(a, b):\n    assert a\n"}, {"src/a.py": "def add(a, b):\n    return a\n"}),
    "a file with a word": ({"docs/testing.md": "@pytest.mark.skip\n"}, {"docs/testing.md": "pytest.mark.xfail\n"}),
}


@pytest.mark.parametrize("case", WEAKER)
def test_what_makes_tests_weaker(tmp_path: Path, case: str) -> None:
    before, after, told = WEAKER[case]
    found = weakened(files(diff(tmp_path, {**before, "keep": "1"}, {**after, "keep": "2"})))
    assert any(told in one.what for one in found), found


@pytest.mark.parametrize("case", AS_STRONG)
def test_what_leaves_them_as_strong(tmp_path: Path, case: str) -> None:
    before, after = AS_STRONG[case]
    assert weakened(files(diff(tmp_path, {**before, "keep": "1"}, {**after, "keep": "2"}))) == []


def test_names_that_git_quotes_and_lines_that_look_like_headers_are_read(tmp_path: Path) -> None:
    odd = 'tests/test "q"\n.py'
    text = diff(tmp_path, {odd: "-- a\n++ b\n", "x": "1"}, {"x": "1\ndiff --git a/y b/y\n--- a/y\n"})
    one, two = sorted(files(text), key=lambda found: found.path)
    assert (one.path, one.deleted, [line.text for line in one.removed]) == (odd, True, ["-- a", "++ b"])
    assert (two.path, [line.text for line in two.added]) == ("x", ["1", "diff --git a/y b/y", "--- a/y"])


@given(st.text(alphabet=st.sampled_from(list('+-@ab/\\" \n0123,')), max_size=300), st.binary(max_size=50))
def test_no_diff_makes_the_reader_fail(text: str, data: bytes) -> None:
    weakened(files(f"diff --git a/tests/test_x.py b/tests/test_x.py\n{text}\n{data.decode(errors='replace')}"))


@pytest.mark.parametrize(
    ("path", "holds"),
    [("tests/test_a.py", True), ("src/a_test.go", True), ("a.spec.ts", True), ("FooTest.java", True),
     ("tests/data.json", False), ("src/contest.py", False), ("latest.py", False), ("tests/helpers.py", True)],
)  # fmt: skip
def test_what_is_a_test(path: str, holds: bool) -> None:
    assert is_test(path) is holds
