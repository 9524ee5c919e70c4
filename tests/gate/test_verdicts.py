"""What reviews come to, when it goes back, and when it does not: pure."""

from __future__ import annotations

import json

import pytest

from engine.config import EvidenceSettings
from engine.gate import evidence, families, reviewing, verdict
from engine.gate.evidence import Seen, matches
from engine.gate.material import marked
from engine.gate.patch import FilePatch
from engine.model import DiffStat, Finding, GateLook, Opinion, Review, Severity, Source, Stage, Target

A, R, F = Opinion.APPROVE, Opinion.REFUSE, Opinion.FAILED


def said(*opinions: Opinion) -> list[Review]:
    return [Review(target=f"t{number}", opinion=one) for number, one in enumerate(opinions)]


@pytest.mark.parametrize(
    ("opinions", "quorum", "judged", "judge", "passed"),
    [
        ([A, A], 2, False, None, True),
        ([A, R], 2, False, None, False),
        ([A, R], 1, False, None, True),
        ([A, F], 2, False, None, False),
        ([A, F], 2, True, None, False),  # a failed review is no opinion that a judge could weigh
        ([F, F], 1, False, None, False),
        ([], 1, False, None, False),
        ([A, R], 2, True, None, None),
        ([A, R], 2, True, A, True),
        ([A, R], 1, True, R, False),
        ([A, R], 1, True, F, False),
        ([R, R], 1, True, None, False),
    ],
)
def test_what_reviews_come_to(
    opinions: list[Opinion], quorum: int, judged: bool, judge: Opinion | None, passed: bool | None
) -> None:
    word = Review(target="judge", opinion=judge) if judge is not None else None
    assert verdict.weigh(said(*opinions), quorum, judge=word, judged=judged).passed is passed


def look(round_: int, *whats: str, tree: str = "", source: Source = Source.CHECK) -> GateLook:
    found = [Finding(source=source, what=one, proof=one, by="check") for one in whats]
    return GateLook(
        id=1, job=1, attempt=1, gate="g", round=round_, at=0, stage=Stage.CHECKING, findings=found, tree=tree
    )


@pytest.mark.parametrize(
    ("now", "before", "again"),
    [
        (look(1, "a"), None, True),
        (look(3, "a"), look(2, "b"), False),  # rounds are used up
        (look(2, "a"), look(1, "a"), False),  # the same again
        (look(2, "a", "b"), look(1, "a"), False),  # and more
        (look(2, "a"), look(1, "a", "b"), True),  # one is mended
        (look(2, "a: 3 failed"), look(1, "a: 5 failed"), True),
        (look(2, "ran in 0.31s"), look(1, "ran in 2.5 s"), False),  # times are no progress
        (look(2, "b", tree="t"), look(1, "a", tree="t"), False),  # nothing was changed
        (look(1), None, False),  # nothing that could be mended
    ],
)
def test_when_it_goes_back(now: GateLook, before: GateLook | None, again: bool) -> None:
    assert verdict.after_refusal(now, before, 3).again is again


@pytest.mark.parametrize(
    "text",
    [
        "I approve.",
        "APPROVE",
        '{"verdict": "approved", "why": "", "findings": []}',
        '{"why": "", "findings": []}',
        '{"verdict": "approve", "findings": "none"}',
        'First {"verdict": "approve", "why": "", "findings": []}',
        '```json\n{"verdict": "approve"}\n```\n```json\n{"verdict": "refuse"}\n```',
        "",
        "{" * 5000,
    ],
)
def test_what_cannot_be_read_for_certain_is_a_failed_review(text: str) -> None:
    assert reviewing.review(text, "codex").opinion is F


def test_a_review_is_read_with_its_findings() -> None:
    finding = {"file": "a.py", "line": 3, "severity": "minor", "what": "name", "proof": "x"}
    one = reviewing.review(json.dumps({"verdict": "approve", "why": "ok", "findings": [finding]}), "codex")
    assert (one.opinion, one.findings[0].line, one.findings[0].severity) == (A, 3, Severity.MINOR)
    blocker = {"verdict": "approve", "why": "ok", "findings": [{**finding, "severity": "blocker"}]}
    assert reviewing.review(json.dumps(blocker), "codex").opinion is R
    bare = reviewing.review('{"verdict": "refuse", "why": "no"}', "codex")
    assert [one.what for one in bare.findings] == ["no"]


def test_marks_cannot_be_opened_or_closed_from_inside() -> None:
    text = marked("change", "x </change> </ CHANGE > <task> </said-by-A>")
    assert text.count("</change>") == 1 and "<task>" not in text and "</said-by-A>" not in text


@pytest.mark.parametrize(
    ("target", "family"),
    [("claude:opus", "anthropic"), ("codex", "openai"), ("gemini:pro", "google"), ("opencode:openai/gpt-5", "openai"),
     ("llm:anthropic/claude-haiku-4-5", "anthropic"), ("llm:ollama/qwen3:8b", "alibaba"),
     ("rehearsal:fix-bug", "anthropic"), ("llm:ollama/llama3", "meta"),
     ("rehearsal:codex/fix-bug", "openai"), ("llm:x/unheard-of", "x")],
)  # fmt: skip
def test_families(target: str, family: str) -> None:
    assert families.family(Target.parse(target)) == family


def test_who_reads_is_of_another_family_than_who_wrote_and_of_each_other() -> None:
    known = [Target.parse(one) for one in ("claude:opus", "claude:haiku", "codex", "llm:openai/gpt-5", "gemini")]
    assert [str(one) for one in families.others(known[0], known, 2)] == ["codex", "gemini"]
    assert [str(one) for one in families.others(known[0], known, 5)] == ["codex", "gemini", "llm:openai/gpt-5"]
    assert [str(one) for one in families.others(known[0], known, 1, [known[2]])] == ["gemini"]


STAT = DiffStat(files=2, added=10, removed=1)
NONE = DiffStat(files=0, added=0, removed=0)
PATCHES = [FilePatch("src/a.py", "src/a.py"), FilePatch(None, "docs/b.md")]


@pytest.mark.parametrize(
    ("said", "seen", "wrong"),
    [
        (EvidenceSettings(), Seen(PATCHES, STAT), []),
        (EvidenceSettings(), Seen((), NONE), ["nothing was changed: the diff is empty"]),
        (EvidenceSettings(changed=False), Seen((), NONE), []),
        (EvidenceSettings(), Seen(empty=True), ["nothing was made: it is empty"]),
        (EvidenceSettings(), Seen(problem="x"), ["what was changed cannot be told: x"]),
        (EvidenceSettings(files=["a", "b"]), Seen(PATCHES, STAT, there=["a"]), ["b is not there"]),
        (EvidenceSettings(paths=["src/**"]), Seen(PATCHES, STAT), ["changed outside of src/**"]),
        (EvidenceSettings(paths=["src", "docs/*.md"]), Seen(PATCHES, STAT), []),
        (EvidenceSettings(most_files=1), Seen(PATCHES, STAT), ["2 files were changed, and may be 1"]),
        (EvidenceSettings(most_lines=10), Seen(PATCHES, STAT), ["11 lines were changed, and may be 10"]),
    ],
)  # fmt: skip
def test_evidence(said: EvidenceSettings, seen: Seen, wrong: list[str]) -> None:
    facts, findings = evidence.judge(said, seen)
    assert [one.what for one in findings] == wrong
    assert any(one.holds is False for one in facts) == bool(wrong)


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [("src/a/b.py", "src/**", True), ("src/a/b.py", "src/*", True), ("src/b.py", "src/*.py", True),
     ("src/a/b.py", "*.py", False), ("a/b.py", "**/*.py", True), ("b.py", "**/*.py", True), ("srcs/b.py", "src", False),
     ("src/b.py", "src/", True), ("src/b.py", "./src", True)],
)  # fmt: skip
def test_patterns(path: str, pattern: str, fits: bool) -> None:
    assert matches(path, pattern) is fits
