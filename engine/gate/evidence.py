"""What has to be seen in a workspace and in what was changed there. Pure: what is there was looked up before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from engine.config import EvidenceSettings
from engine.gate.patch import FilePatch
from engine.gate.weakening import weakened
from engine.model import DiffStat, Fact, Finding, Severity, Source

SHOWN = 8  #: of files that a finding names
FILES, CHANGED, TESTS, PATHS, SIZE = "files", "changed", "tests", "paths", "size"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is there. `diff`: None outside git."""

    patches: Sequence[FilePatch] = ()
    diff: DiffStat | None = None
    there: Sequence[str] = ()
    """Those of the files asked for that are there."""
    empty: bool = False
    """Outside git: the directory holds nothing."""
    problem: str = ""
    """Why the diff of a git workspace could not be taken."""


def asked(settings: EvidenceSettings) -> list[str]:
    """What is looked at, in words."""
    said = []
    if settings.changed:
        said.append("something was changed")
    if settings.tests:
        said.append("no test was deleted or weakened")
    if settings.files:
        said.append(f"there are {', '.join(settings.files)}")
    if settings.paths:
        said.append(f"nothing but {', '.join(settings.paths)} was changed")
    if settings.most_files is not None:
        said.append(f"at most {settings.most_files:,} files were changed")
    if settings.most_lines is not None:
        said.append(f"at most {settings.most_lines:,} lines were changed")
    return said


def judge(settings: EvidenceSettings, seen: Seen) -> tuple[list[Fact], list[Finding]]:
    """Each thing that was looked at, and what is wrong with it."""
    facts: list[Fact] = []
    findings: list[Finding] = []
    if seen.problem:
        facts.append(Fact(name="diff", holds=False, told=seen.problem))
        findings.append(_finding("diff", f"what was changed cannot be told: {seen.problem}"))
    for holds, name, told, more in _all(settings, seen):
        facts.append(Fact(name=name, holds=holds, told=told))
        findings += more
    return facts, findings


_Told = tuple[bool | None, str, str, list[Finding]]


def _all(settings: EvidenceSettings, seen: Seen) -> list[_Told]:
    found: list[_Told] = []
    if settings.changed:
        found.append(_changed(seen))
    if settings.files:
        missing = [one for one in settings.files if one not in seen.there]
        told = f"missing: {', '.join(missing)}" if missing else f"all {len(settings.files)} are there"
        found.append((not missing, FILES, told, [_finding(FILES, f"{one} is not there", file=one) for one in missing]))
    if seen.problem:
        return found
    if settings.tests:
        found.append(_tests(seen))
    if settings.paths:
        found.append(_paths(settings.paths, seen))
    if settings.most_files is not None or settings.most_lines is not None:
        found.append(_size(settings, seen))
    return found


def _changed(seen: Seen) -> _Told:
    if seen.problem:
        return None, CHANGED, "it cannot be told", []
    if seen.diff is None:
        if seen.empty:
            return False, CHANGED, "the workspace is empty", [_finding(CHANGED, "nothing was made: it is empty")]
        return None, CHANGED, "outside git it cannot be told", []
    if not seen.diff.files and seen.diff.whole:
        wrong = _finding(CHANGED, "nothing was changed: the diff is empty", severity=Severity.BLOCKER)
        return False, CHANGED, "the diff is empty", [wrong]
    return True, CHANGED, f"{seen.diff.files} files +{seen.diff.added} -{seen.diff.removed}", []


def _tests(seen: Seen) -> _Told:
    if seen.diff is None:
        return None, TESTS, "outside git it cannot be told", []
    found = weakened(seen.patches)
    findings = [
        _finding(TESTS, f"{one.file}: {one.what}", one.proof, one.file, one.line, Severity.BLOCKER) for one in found
    ]
    told = "; ".join(f"{one.file}: {one.what}" for one in found[:SHOWN]) or "none was deleted or weakened"
    return not found, TESTS, told, findings


def _paths(patterns: Sequence[str], seen: Seen) -> _Told:
    if seen.diff is None:
        return None, PATHS, "outside git it cannot be told", []
    names = [name for one in seen.patches for name in (one.old, one.new) if name is not None]
    outside = [name for name in dict.fromkeys(names) if not any(matches(name, pattern) for pattern in patterns)]
    if not outside:
        return True, PATHS, f"nothing outside of {', '.join(patterns)}", []
    more = f" and {len(outside) - SHOWN} more" if len(outside) > SHOWN else ""
    told = f"{', '.join(outside[:SHOWN])}{more}"
    wrong = _finding(PATHS, f"changed outside of {', '.join(patterns)}", told, outside[0])
    return False, PATHS, f"outside: {told}", [wrong]


def _size(settings: EvidenceSettings, seen: Seen) -> _Told:
    if seen.diff is None:
        return None, SIZE, "outside git it cannot be told", []
    lines = seen.diff.added + seen.diff.removed
    told = f"{seen.diff.files:,} files, {lines:,} lines"
    wrong = []
    if settings.most_files is not None and seen.diff.files > settings.most_files:
        wrong.append(_finding(SIZE, f"{seen.diff.files:,} files were changed, and may be {settings.most_files:,}"))
    if settings.most_lines is not None and lines > settings.most_lines:
        wrong.append(_finding(SIZE, f"{lines:,} lines were changed, and may be {settings.most_lines:,}"))
    return not wrong, SIZE, told, wrong


def _finding(
    rule: str, what: str, proof: str = "", file: str = "", line: int | None = None, severity: Severity = Severity.MAJOR
) -> Finding:
    return Finding(
        source=Source.EVIDENCE, what=what, proof=proof, file=file, line=line, severity=severity, by=f"evidence: {rule}"
    )


def matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern: `*` within a name, `**` any folders, a folder all that is in it."""
    return _compiled(pattern).fullmatch(path) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    text = pattern.removeprefix("./")
    text = f"{text}**" if text.endswith("/") else text
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", text)
    forms = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(forms.get(part) or re.escape(part) for part in parts)
    return re.compile(f"{body}(?:/.*)?", re.DOTALL)
