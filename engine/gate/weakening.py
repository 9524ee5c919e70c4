"""Whether a change makes tests weaker: deletes them, skips them, drops what they assert. Pure.

It reads the diff alone, by the words of the common test tools. What was moved to another file is not missing. It is
strict: a change that really has to take a test away is shown to the operator, who can accept it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.gate.patch import FilePatch, Line

SHOWN = 6  #: lines of a file that a proof quotes
LINE_CHARS = 200

_FOLDERS = frozenset({"test", "tests", "spec", "specs", "__tests__", "testing", "e2e"})
_NAMES = re.compile(
    r"(^test_.*\.py$|_test\.(py|go|rb|exs|cc|cpp|c|dart)$|[._-](test|spec)\.[cm]?[jt]sx?$|_spec\.rb$|"
    r"Tests?\.(java|kt|cs|swift|php|scala)$|Spec\.(scala|kt|groovy)$|^conftest\.py$)"
)
_CODE = re.compile(
    r"\.(py|[cm]?[jt]sx?|go|rs|rb|java|kt|cs|swift|php|scala|groovy|exs?|c|cc|cpp|h|dart|sh|bats|lua|pl|t)$"
)
#: Settings of test tools.
_SETTINGS = re.compile(
    r"(^|/)(pytest\.ini|tox\.ini|setup\.cfg|pyproject\.toml|package\.json|jest\.config\.\w+|vitest\.config\.\w+|"
    r"conftest\.py|Makefile|noxfile\.py|\.github/workflows/[^/]+)$"
)

#: What begins a test, with its name where it has one.
_TESTS = (
    re.compile(r"^\s*(?:async\s+)?def\s+(test\w*)\s*\("),
    re.compile(r"^\s*class\s+(Test\w*)\b"),
    re.compile(r"^\s*func\s+((?:Test|Fuzz|Example)\w*)\s*\("),
    re.compile(r"^\s*(?:it|test|describe|context|specify|scenario)(?:\.each\(.*?\))?\s*\(\s*([\"'`].*?[\"'`])"),
    re.compile(r"^\s*(?:it|describe|context|specify|test)\s+([\"'].*?[\"'])\s+do\b"),
    re.compile(r"^\s*(#\[(?:tokio::)?test\])"),
    re.compile(r"^\s*(@(?:Test|ParameterizedTest)\b|\[(?:Fact|Theory|Test|TestMethod)\])"),
    re.compile(r"^\s*(?:public\s+)?function\s+(test\w*)\s*\("),
    re.compile(r"^\s*(@test\s+[\"'].*?[\"'])"),
)
_SKIPS = re.compile(
    r"(pytest\.mark\.(?:skip|skipif|xfail)\b|pytest\.(?:skip|xfail|importorskip)\s*\(|unittest\.(?:skip|expectedFailure)|"
    r"@(?:skip|skipIf|skipUnless|expectedFailure)\b|\bself\.skipTest\s*\(|raise\s+(?:unittest\.)?SkipTest|"
    r"\b(?:it|test|describe|context|suite)\.(?:skip|todo|only|fails|failing|fixme)\b|"
    r"\b(?:xit|xtest|xdescribe|xcontext|fit|fdescribe)\s*\(|\bt\.Skip(?:f|Now)?\s*\(|#\[ignore|#\[should_panic|"
    r"@(?:Disabled|Ignore)\b|\[(?:Ignore|Skip)|\bSkip\s*=\s*\"|markTest(?:Skipped|Incomplete)|^\s*(?:skip|pending)\b)"
)
_ASSERTS = re.compile(
    r"(^\s*assert\b|\bself\.(?:assert|fail)\w*\s*\(|\bassert\w*!?\s*[.(]|\bexpect\s*\(|\bexpect\s*\{|\bpytest\.raises\b|"
    r"\bt\.(?:Error|Fatal|Fail)\w*\s*\(|\brequire\.\w+\s*\(|\bASSERT_\w+|\bEXPECT_\w+|\.should\b|\$this->assert|"
    r"\bAssert\.\w+\s*\(|\bassertThat\b)"
)
_EMPTY_ASSERT = re.compile(
    r"(^\s*assert\s+(?:True|1|not\s+False|not\s+None)\s*(?:,.*|#.*)?$|^\s*assert\s*\(?\s*(?:true|1\s*==\s*1)\s*\)?;?\s*$|"
    r"\bassertTrue\(\s*[Tt]rue\s*[,)]|\bexpect\(\s*(?:true|1)\s*\)\.(?:toBe(?:Truthy)?|toEqual)\(\s*(?:true|1)?\s*\)|"
    r"\bassert!\(\s*true\s*\)|\bassertEquals?\(\s*(?P<same>\w+)\s*,\s*(?P=same)\s*\))"
)
_UNRUN = re.compile(
    r"(--ignore(?:-glob)?[= ]|--deselect|collect_ignore|--testPathIgnorePatterns|testPathIgnorePatterns|norecursedirs|"
    r"-k\s+[\"']?not\b|--exclude-tests?|--skip\s|--passWithNoTests|\bcontinue-on-error:\s*true|\|\|\s*true\b)"
)


@dataclass(frozen=True, slots=True)
class Weakened:
    """One way in which a test became weaker."""

    file: str
    what: str
    proof: str = ""
    line: int | None = None


def is_test(path: str) -> bool:
    """Whether a file holds tests, by its name and its place."""
    *folders, name = path.split("/")
    if _NAMES.search(name):
        return True
    return bool(_CODE.search(name)) and not _FOLDERS.isdisjoint(part.lower() for part in folders)


def weakened(patches: Sequence[FilePatch]) -> list[Weakened]:
    """What a change takes away from the tests, in the order of the diff."""
    moved = Counter(name for one in patches if is_test(one.path) for name in _tests(one.added))
    kept = Counter(line.text.strip() for one in patches if is_test(one.path) for line in one.added)
    found: list[Weakened] = []
    for one in patches:
        if is_test(one.old or one.path):
            found += _of_test(one, moved, kept)
        if _SETTINGS.search(one.path) and (lines := _matching(_UNRUN, one.added)):
            found.append(Weakened(one.path, "it leaves tests out of the run", _quoted("+", lines), lines[0].number))
    return found


def _of_test(one: FilePatch, moved: Counter[str], kept: Counter[str]) -> list[Weakened]:
    lost = _lost(one, moved)
    if one.deleted or (one.new is not None and not is_test(one.new)):
        what = "it was deleted" if one.deleted else f"it is no test any more: it was renamed to {one.new}"
        if not lost and not one.binary and _tests(one.removed) and one.deleted:
            return []  # all that was in it stands elsewhere
        return [Weakened(one.old or one.path, what, ", ".join(lost[:SHOWN]))]
    found = []
    if lost:
        found.append(Weakened(one.path, f"{_count(len(lost), 'test')} removed", ", ".join(lost[:SHOWN])))
    if skips := _new(_SKIPS, one):
        found.append(Weakened(one.path, "tests are skipped", _quoted("+", skips), skips[0].number))
    if empty := _new(_EMPTY_ASSERT, one):
        found.append(Weakened(one.path, "it asserts what is always true", _quoted("+", empty), empty[0].number))
    here = Counter(line.text.strip() for line in one.added)
    before = [line for line in _matching(_ASSERTS, one.removed) if not (kept - here)[line.text.strip()]]
    after = _matching(_ASSERTS, one.added)
    if not lost and len(before) > len(after):
        dropped = f"{_count(len(before) - len(after), 'assertion')} dropped"
        found.append(Weakened(one.path, dropped, _quoted("-", before)))
    return found


def _lost(one: FilePatch, moved: Counter[str]) -> list[str]:
    """Tests that were taken out and stand nowhere else. Renamed ones are as many as before."""
    removed, added = _tests(one.removed), _tests(one.added)
    gone = []
    for name in removed:
        if moved[name] > 0:
            moved[name] -= 1
        else:
            gone.append(name)
    fresh = Counter(added) - Counter(removed)
    return gone if len(gone) > fresh.total() else []


def _tests(lines: Sequence[Line]) -> list[str]:
    found = []
    for line in lines:
        for pattern in _TESTS:
            if (match := pattern.match(line.text)) is not None:
                found.append(match[1].strip())
                break
    return found


def _new(pattern: re.Pattern[str], one: FilePatch) -> list[Line]:
    """Lines that are new in this sense: more of them were added than taken away."""
    added, removed = _matching(pattern, one.added), _matching(pattern, one.removed)
    known = Counter(line.text.strip() for line in removed)
    fresh = []
    for line in added:
        if known[line.text.strip()] > 0:
            known[line.text.strip()] -= 1
        else:
            fresh.append(line)
    return fresh if len(added) > len(removed) else []


def _matching(pattern: re.Pattern[str], lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if pattern.search(line.text)]


def _quoted(sign: str, lines: Sequence[Line]) -> str:
    return "\n".join(f"{sign}{line.text[:LINE_CHARS]}" for line in lines[:SHOWN])


def _count(number: int, what: str) -> str:
    return f"{number} {what} was" if number == 1 else f"{number} {what}s were"
