"""What is made of an audit: silence is no good news."""

from __future__ import annotations

import json

from tests.supply.audit import Told, told_in, verdict

ANSWER = {
    "dependencies": [
        {"name": "fine", "version": "1", "vulns": []},
        {"name": "old", "version": "2.10", "vulns": [{"id": "CVE-1", "fix_versions": ["2.11"], "aliases": []}]},
        {"name": "unknown", "skip_reason": "not found"},
    ],
    "fixes": [],
}


def test_what_is_known_against_a_package_fails_with_what_mends_it() -> None:
    told = told_in(json.dumps(ANSWER))
    assert told == Told(3, 2, ("old 2.10: CVE-1, mended in 2.11",))
    code, lines = verdict([None, told], 3)
    assert code == 1 and lines[0] == "old 2.10: CVE-1, mended in 2.11"


def test_a_service_that_says_nothing_is_no_audit() -> None:
    assert verdict([None, Told(3, 0, ())], 3) == (
        0,
        ["NOT AUDITED: no service could say anything of the 3 locked packages from here"],
    )
    assert verdict([Told(3, 2, ())], 3) == (0, ["nothing is known against 2 of 3 locked packages"])
