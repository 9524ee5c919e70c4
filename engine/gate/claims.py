"""What an agent says it has done, held against what it did. Pure.

What is said can only be refuted here: nothing passes a gate because it was said. It is read for few and plain claims,
in sentences without a doubt or a condition in them; what speaks neither for a claim nor against it leaves it open.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from engine.context.handoff import Deeds, Ran
from engine.model import CheckResult, Claim, ClaimKind, Finding, Severity, Source

MOST = 12  #: claims of one last word
QUOTE_CHARS = 240
PROOF_CHARS = 1_500

#: Commands that run tests. What pipes them into something else has that thing's exit code, and tells nothing.
TESTING = re.compile(
    r"(\bpytest\b|\bpy\.test\b|\bunittest\b|\btox\b|\bnox\b|\bnose2\b|\b(?:npm|pnpm|yarn|bun|deno)\s+(?:run\s+)?t(?:est)?\b|"
    r"\bvitest\b|\bjest\b|\bmocha\b|\bgo\s+test\b|\bcargo\s+(?:test|nextest)\b|\bmake\s+(?:\S+\s+)*(?:test|check)\b|"
    r"\bctest\b|\bmvn\b.*\b(?:test|verify)\b|\bgradlew?\b.*\b(?:test|check)\b|\brspec\b|\bphpunit\b|\bdotnet\s+test\b|"
    r"\bmix\s+test\b|\btest[s_-]*\w*\.(?:sh|py)\b|\brun[_-]tests?\b)"
)

_SENTENCES = re.compile(r"(?<=[.!?;])\s+|\n+")
_NO_FAILURES = re.compile(
    r"\b(?:0|no|zero|without(?:\s+any)?)\s+(?:\w+\s+)?(?:failures?|failed|failing|errors?|regressions?|issues?|problems?)\b",
    re.I,
)
_DOUBT = re.compile(
    r"(\bnot\b|n't\b|\bnever\b|\bno\b|\bcannot\b|\bunable\b|\bfail(?:s|ed|ing|ure|ures)?\b|\bwould\b|\bshould\b|\bcould\b|"
    r"\bwill\b|\bif\b|\bonce\b|\bunless\b|\bwhen\b|\buntil\b|\bbefore\b|\bneeds?\b|\btodo\b|\bplan(?:s|ned)?\b|\bplease\b|"
    r"\bgoing to\b|\blet me\b|\byou can\b|\bskipped\b|\bexpected to\b|\btry\b|\?)",
    re.I,
)
_TESTS = re.compile(
    r"(\b(?:tests?|checks?|suite|specs?)\b.{0,40}?\b(?:pass(?:es|ed|ing)?|green|succeed(?:s|ed)?)\b|"
    r"\ball\s+(?:\d+\s+)?(?:tests\s+)?(?:pass(?:es|ed|ing)?|green)\b|\b\d+\s+passed\b|\bpassing\s+tests?\b)",
    re.I,
)
_COMMIT = re.compile(r"\bcommit(?:ted)\b|\b(?:made|created|added)\s+(?:a|the|one|\d+)\s+(?:\w+\s+)?commits?\b", re.I)
_PUSH = re.compile(r"\bpushed\b", re.I)
_WROTE = re.compile(
    r"\b(?:wrote|written|created|added|saved|generated|updated|put|implemented)\b|\bis\s+(?:now\s+)?in\b", re.I
)
_TOOK = re.compile(r"\b(?:deleted|removed|renamed|moved|dropped|instead of|from)\b", re.I)
_PATH = re.compile(
    r"`([^`\s]{1,200})`|(?<![\w/.`-])((?:[\w.-]+/)+[\w-]+\.\w{1,8}|[\w-]+\.(?:py|md|ts|js|go|rs|json|ya?ml|toml|txt|sh))\b"
)


@dataclass(frozen=True, slots=True)
class Git:
    """How the repository stands. None where that is not known: outside git, or where it could not be asked."""

    committed: bool | None = None
    """There is a commit that was not there at the beginning."""
    pushed: bool | None = None
    """A remote has the newest commit."""
    told: str = ""
    remote: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """The facts that claims are held against."""

    deeds: Deeds = field(default_factory=Deeds)
    checks: Sequence[CheckResult] = ()
    git: Git = field(default_factory=Git)
    changed: Collection[str] = ()
    """Paths that the diff has at its end."""
    there: Collection[str] = field(default_factory=frozenset)
    """Those of the named paths that are there."""


def read(text: str) -> list[Claim]:
    """The claims of an agent's last word, none of them twice."""
    found: dict[tuple[ClaimKind, str], Claim] = {}
    for sentence in _SENTENCES.split(text):
        plain = " ".join(sentence.split())
        if not plain or _DOUBT.search(_NO_FAILURES.sub("", plain)):
            continue
        for kind, subject in _claims(plain):
            one = Claim(kind=kind, quote=plain[:QUOTE_CHARS], subject=subject)
            found.setdefault((kind, subject), one)
    return list(found.values())[:MOST]


def paths(claims: Sequence[Claim]) -> list[str]:
    """The files that claims are about."""
    return [one.subject for one in claims if one.kind is ClaimKind.FILE]


def hold(claims: Sequence[Claim], known: Known) -> list[Claim]:
    """Claims with what speaks for or against each."""
    return [_held(one, known) for one in claims]


def refuted(claims: Sequence[Claim]) -> list[Finding]:
    """What was said and is not so."""
    return [
        Finding(
            source=Source.CLAIM,
            what=f"you said: {one.quote!r}; that is not so",
            proof=one.proof,
            file=one.subject,
            severity=Severity.BLOCKER,
            by=f"claim: {one.kind}",
        )
        for one in claims
        if one.holds is False
    ]


def _claims(sentence: str) -> list[tuple[ClaimKind, str]]:
    found: list[tuple[ClaimKind, str]] = []
    if _TESTS.search(sentence):
        found.append((ClaimKind.TESTS, ""))
    if _COMMIT.search(sentence):
        found.append((ClaimKind.COMMIT, ""))
    if _PUSH.search(sentence):
        found.append((ClaimKind.PUSH, ""))
    if _WROTE.search(sentence) and not _TOOK.search(sentence):
        for quoted, bare in _PATH.findall(sentence):
            path = (quoted or bare).removeprefix("./")
            if _is_path(path):
                found.append((ClaimKind.FILE, path))
    return found


def _is_path(text: str) -> bool:
    name = text.rsplit("/", 1)[-1]
    plain = re.fullmatch(r"[\w./@+-]+", text) is not None
    return plain and re.search(r"\.[A-Za-z]\w{0,7}$", name) is not None and ".." not in text.split("/")


def _held(claim: Claim, known: Known) -> Claim:
    match claim.kind:
        case ClaimKind.TESTS:
            holds, proof = _tests(known)
        case ClaimKind.COMMIT:
            holds, proof = known.git.committed, known.git.told
        case ClaimKind.PUSH:
            holds, proof = _pushed(known)
        case ClaimKind.FILE:
            holds, proof = _file(claim.subject, known)
    return Claim(kind=claim.kind, quote=claim.quote, subject=claim.subject, holds=holds, proof=proof)


def _tests(known: Known) -> tuple[bool | None, str]:
    """The gate's own runs say more than the agent's: they came later, and nobody could choose what they run."""
    checked = [one for one in known.checks if TESTING.search(one.command)]
    if failed := [one for one in checked if not one.passed]:
        return False, f"$ {failed[0].command}\n{failed[0].problem or failed[0].word}"
    if checked:
        return True, f"{checked[-1].command}: ok"
    ran = [one for one in known.deeds.ran if TESTING.search(one.what) and "|" not in one.what]
    if not ran:
        return None, "no run of tests was seen"
    last: dict[str, Ran] = {one.what: one for one in ran}
    if ran[-1].ok is False:
        return False, f"$ {ran[-1].what}\nit failed, and was not run again\n{_end(ran[-1].output)}"
    return (True, f"{ran[-1].what}: ok") if all(one.ok for one in last.values()) else (None, "not all runs passed")


def _pushed(known: Known) -> tuple[bool | None, str]:
    pushes = [one for one in known.deeds.ran if re.search(r"\bgit\b.*\bpush\b", one.what)]
    if known.git.pushed is False:
        return False, known.git.remote
    if pushes and pushes[-1].ok is False:
        return False, f"$ {pushes[-1].what}\nit failed\n{_end(pushes[-1].output)}"
    return known.git.pushed, known.git.remote


def _file(path: str, known: Known) -> tuple[bool | None, str]:
    if path in known.there:
        return True, "it is there"
    if any(one == path or one.endswith(f"/{path}") for one in known.changed):
        return True, "it was changed"
    if "/" not in path and not path.islower():
        return None, "it may be no file"
    return False, f"there is no {path} in the workspace, and the diff has none"


def _end(output: str) -> str:
    return output.strip()[-PROOF_CHARS:]
