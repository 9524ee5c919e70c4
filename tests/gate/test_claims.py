"""What an agent says, read and held against what it did."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.handoff import Deeds, Ran
from engine.gate import claims
from engine.gate.claims import Git, Known
from engine.model import CheckResult, ClaimKind

TESTS, FILE, COMMIT, PUSH = ClaimKind.TESTS, ClaimKind.FILE, ClaimKind.COMMIT, ClaimKind.PUSH


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("All 5 tests pass.", [(TESTS, "")]),
        ("I ran the suite: 12 passed in 0.31s", [(TESTS, "")]),
        ("Everything is fixed; all tests pass now, with no failures.", [(TESTS, "")]),
        ("The test suite is green.", [(TESTS, "")]),
        ("I committed the change and pushed it to origin.", [(COMMIT, ""), (PUSH, "")]),
        ("I wrote docs/guide.md and added `src/new.py`.", [(FILE, "docs/guide.md"), (FILE, "src/new.py")]),
        # A doubt, a condition, a plan or a wish is no claim.
        ("The tests do not pass.", []),
        ("The tests should pass once you set the variable.", []),
        ("I could not push: there is no remote.", []),
        ("If the tests pass, merge it.", []),
        ("Two tests fail and three pass.", []),
        ("I will commit this when you agree.", []),
        ("I removed src/old.py from the package.", []),
        ("Done.", []),
        ("", []),
    ],
)
def test_what_is_read_as_a_claim(text: str, found: list[tuple[ClaimKind, str]]) -> None:
    assert [(one.kind, one.subject) for one in claims.read(text)] == found


def ran(what: str, ok: bool | None) -> Deeds:
    return Deeds(ran=(Ran(what, ok, "" if ok else "1 failed"),))


CHECKED = CheckResult(command="pytest -q", code=1, took_ms=1, output="1 failed")


@pytest.mark.parametrize(
    ("text", "known", "holds"),
    [
        ("All tests pass.", Known(deeds=ran("pytest -q", False)), False),
        ("All tests pass.", Known(deeds=ran("pytest -q", True)), True),
        ("All tests pass.", Known(deeds=ran("pytest -q", None)), None),
        ("All tests pass.", Known(deeds=ran("pytest -q | tail -1", False)), None),
        ("All tests pass.", Known(), None),
        # What ran last counts, and the gate's own run before that.
        ("All tests pass.", Known(deeds=Deeds(ran=(Ran("pytest", False, "x"), Ran("pytest", True)))), True),
        ("All tests pass.", Known(deeds=ran("pytest", True), checks=[CHECKED]), False),
        ("I committed it.", Known(git=Git(committed=False)), False),
        ("I committed it.", Known(git=Git(committed=True)), True),
        ("I committed it.", Known(), None),
        ("I pushed it.", Known(git=Git(pushed=False)), False),
        ("I pushed it.", Known(deeds=ran("git push origin main", False)), False),
        ("I wrote docs/a.md.", Known(), False),
        ("I wrote docs/a.md.", Known(there=frozenset({"docs/a.md"})), True),
        ("I wrote docs/a.md.", Known(changed=["sub/docs/a.md"]), True),
    ],
)
def test_what_is_held_against_facts(text: str, known: Known, holds: bool | None) -> None:
    (claim,) = claims.hold(claims.read(text), known)
    assert claim.holds is holds
    assert len(claims.refuted([claim])) == (holds is False)


def test_a_refuted_claim_carries_its_proof() -> None:
    (finding,) = claims.refuted(claims.hold(claims.read("All tests pass."), Known(deeds=ran("make test", False))))
    assert finding.what == "you said: 'All tests pass.'; that is not so"
    assert finding.proof == "$ make test\nit failed, and was not run again\n1 failed"


@given(st.text(max_size=400))
def test_any_last_word_can_be_read(text: str) -> None:
    found = claims.read(text)
    assert len(found) <= claims.MOST
    claims.hold(found, Known())
