"""`headway triage` over a real engine: why a job is what it is, the operator's word, and what is said of mistakes."""

from __future__ import annotations

from typing import Any

from tests.conftest import Served, settings_file


def test_a_class_is_told_corrected_and_taken_back(served: Served) -> None:
    settings_file(served.home, "agents: {rehearsal: {max_running: 0}}\ntriage: {clarify: ask}\n")
    served.start()
    submitted = served.headway("submit", "--agent", "rehearsal", "--scratch", "fix it")
    assert submitted.stdout == "1\n", submitted.stderr
    told = served.headway("triage", "1").stdout
    assert told.startswith("J1  clarify  (by rules)\n")
    assert "no_object" in told and "is held, and a card asks you" in told
    assert "triage    clarify" in served.headway("show", "1").stdout
    assert "run it as it is" in served.headway("inbox").stdout
    done = served.headway("triage", "1", "--set", "big")
    said_so = "J1 is big, and was clarify; it runs on rehearsal; weigh less: no_object, points\n"
    assert done.stdout == said_so, done.stderr
    listed: Any = served.json("jobs", "class:big")
    assert [(job["id"], job["triage"], job["held_by"]) for job in listed] == [(1, "big", None)]
    assert "1.00  three words" in served.headway("triage", "--rules").stdout
    assert "the correction counts no more" in served.headway("undo").stdout
    said: Any = served.json("triage", "1")
    assert (said["triage"], said["judgement"]["triage"]) == ("clarify", "clarify")
    thought: Any = served.json("triage", "--prompt", "Rename foo_bar in a.py", "--tag", "x")
    assert (thought["triage"], thought["job"]) == ("quick", None)
    for words, says in (
        (("triage",), "give one of them"),
        (("triage", "1", "--set", "bigg"), "did you mean 'big'?"),
        (("triage", "--prompt", "x", "--set", "big"), "--set is about a job"),
        (("jobs", "class:bigg"), "did you mean big?"),
    ):
        wrong = served.headway(*words)
        assert wrong.returncode == 2 and says in wrong.stderr, wrong.stderr
    assert served.headway("triage", "99").returncode == 4
