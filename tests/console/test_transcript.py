from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.diff import diff_entries
from console.draw import clip, draw, width_of
from console.roles import Role
from console.said import question, result_line
from console.sizes import DIFF_LINES
from console.status import FAILED, READY
from console.theme import DEFAULT, Ink, load_themes
from console.transcript import Entry, entries
from engine.agents import events as say
from engine.agents.events import AnyAgentEvent, LogLine
from engine.model import ActionResult, Verb
from tests.console.fake import NOW
from tests.console.scenes import DIFF


def told(event: AnyAgentEvent, stream: str = "stdout") -> list[str]:
    line = LogLine(attempt=1, stream=stream, next=1, event=event)
    return ["".join(text for text, _ in entry.parts) for entry in entries(line)]


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (say.Text("one\n\n  two\n"), ["one", "  two"]),
        (say.Thinking("hm\nmore\nagain"), ["  hm  +2 lines"]),
        (say.ToolCall(id="1", name="Bash", summary="ls -l\nrm"), ["» Bash ls -l rm"]),
        (say.ToolResult(id="1", ok=True, output="\nfirst\nsecond\n"), ["  first  +1 line"]),
        (say.ToolResult(id="1", ok=False, output="boom"), ["  ✗ boom"]),
        (say.ToolResult(id="1", ok=True, output=""), []),
        (say.FileEdit(path="a/b.py", added=14, removed=3), ["✎ a/b.py +14 −3"]),
        (say.Retrying(attempt=2, delay_ms=4000, status=529, error="overloaded"), ["↻ try 2 in 4s: 529 overloaded"]),
        (say.Retrying(attempt=1, delay_ms=500, status=None, error="reset"), ["↻ try 1 in 0s: reset"]),
        (say.Limit(window="five_hour", status="allowed", used=0.5), []),
        (say.Limit(window="five_hour", status="rejected", resets_at=NOW), ["◔ limit five_hour rejected, resets 14:13"]),
        (say.Limit(window="w", status="warning", used=0.93), ["◔ limit w 93% warning"]),
        (
            say.Compacted(before_tokens=181_000, after_tokens=None, trigger="auto"),
            ["⋯ context shortened from 181k to ?"],
        ),
        (say.Permission(tool="Bash", message="not allowed"), ["! denied Bash: not allowed"]),
        (say.Result(ok=True, text="all\ngood"), ["✓ all good"]),
        (say.Result(ok=False, text=""), ["✗ failed"]),
        (say.Output("a\tb"), ["a   b"]),
        (say.Notice("hook ran"), ["⋯ hook ran"]),
        (say.Unknown('{"type": "new"}'), ['? {"type": "new"}']),
        (say.Context(context_tokens=5), []),
        (say.Started(model="opus-5", agent_version="2.1"), ["⋯ session starts  opus-5 v2.1"]),
    ],
)
def test_events_are_told_in_few_words(event: AnyAgentEvent, lines: list[str]) -> None:
    assert told(event) == lines


def test_no_escape_of_an_agent_is_told() -> None:
    evil = "\x1b]52;c;eA==\x07\x1b[2Jx\r\x9b1A"
    for event in (
        say.Text(evil), say.ToolCall(id="1", name=evil, summary=evil), say.ToolResult(id="1", ok=True, output=evil),
        say.FileEdit(path=evil, added=1, removed=1), say.Permission(tool=evil, message=evil), say.Unknown(evil),
        say.Retrying(attempt=1, delay_ms=1, status=1, error=evil),
        say.Limit(window=evil, status=evil), say.Notice(evil),
        say.Result(ok=True, text=evil), say.Started(model=evil, agent_version=evil),
        say.Thinking(evil), say.Output(evil),
    ):  # fmt: skip
        for line in told(event):
            assert line.isprintable(), (event, line)


@given(st.text(), st.integers(1, 60))
def test_rows_of_prose_fit(text: str, width: int) -> None:
    for entry in entries(LogLine(attempt=1, stream="stdout", next=1, event=say.Text(text))):
        assert all(width_of(row) <= max(width, 4) for row in entry.rows(width))


def test_a_wrapped_result_keeps_its_sign() -> None:
    entry = Entry((("✓ ", Role.DONE), ("one two three", Role.TEXT)), True, 2)
    assert entry.rows(7) == [
        (("✓ ", Role.DONE), ("one", Role.TEXT)),
        (("  two", Role.TEXT),),
        (("  three", Role.TEXT),),
    ]


def test_a_word_that_does_not_fit_beside_its_label_stands_below_it() -> None:
    entry = Entry((("why   ", Role.MUTED), ("/a/path/that/is/long", Role.TEXT)), True, 2)
    assert entry.rows(10) == [
        (("why   ", Role.MUTED),),
        (("  /a/path/", Role.TEXT),),
        (("  that/is/", Role.TEXT),),
        (("  long", Role.TEXT),),
    ]


@given(st.text("ab ", max_size=12), st.text("ab /", max_size=40), st.integers(4, 40), st.integers(0, 8))
def test_rows_are_parts_whatever_is_broken(label: str, text: str, width: int, indent: int) -> None:
    rows = Entry(((label, Role.MUTED), (text, Role.TEXT)), True, indent).rows(width)
    assert all(isinstance(words, str) and isinstance(role, Role) for row in rows for words, role in row)
    said = "".join(words for row in rows for words, _ in row)
    assert said.replace(" ", "") == (label + text).replace(" ", "")


@given(st.lists(st.tuples(st.text(), st.sampled_from(Role))), st.integers(0, 50))
def test_a_line_is_exactly_as_wide_as_its_widget(parts: list[tuple[str, Role]], width: int) -> None:
    parts = [("".join(char for char in text if char.isprintable()), role) for text, role in parts]
    assert width_of(clip(parts, width)) <= width
    strip = draw(Ink(load_themes()[DEFAULT]), parts, width, right=[("end", Role.TEXT)])
    assert sum(segment.cell_length for segment in strip) == width


def test_a_diff_is_told_by_what_its_lines_are() -> None:
    rows = [(entry.parts[0][0], entry.parts[0][1]) for entry in diff_entries(DIFF)]
    assert ("src/parser/tokens.py", Role.HEADING) in rows
    assert ("-        return self._strip(self._raw)", Role.REMOVED) in rows
    assert ("+        return self._raw if self.keep else self._strip(self._raw)", Role.ADDED) in rows
    assert ("new file mode 100644", Role.MUTED) in rows
    assert not any(text.startswith(("index ", "--- ", "+++ ")) for text, _ in rows)


def test_lines_of_dashes_and_pluses_inside_a_diff_are_changes() -> None:
    text = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n--- old rule\n+++ new rule\n"
    assert [(e.parts[0][0], e.parts[0][1]) for e in diff_entries(text)][-2:] == [
        ("--- old rule", Role.REMOVED),
        ("+++ new rule", Role.ADDED),
    ]


def test_a_huge_diff_says_what_it_leaves_out() -> None:
    shown = diff_entries("@@\n" + "+x\n" * (DIFF_LINES + 41))
    assert len(shown) == DIFF_LINES + 1
    assert shown[-1].parts[0][0] == "42 more lines"


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (ActionResult(verb=Verb.HOLD, done=[12]), "held J12"),
        (ActionResult(verb=Verb.CANCEL, done=[1, 2], stopping=[3]), "cancelled 2 jobs, stopping J3"),
        (ActionResult(verb=Verb.CANCEL, done=[], stopping=[3]), "stopping J3"),
        (ActionResult(verb=Verb.RETRY, done=[], skipped={"not ended yet": [4]}), "left J4: not ended yet"),
        (
            ActionResult(verb=Verb.RETRY, done=[1], skipped={"not ended yet": [4, 5], "no such job": [6]}),
            "put back J1; left 2 jobs: not ended yet; left J6: no such job",
        ),
        (ActionResult(verb=Verb.RELEASE, done=[]), "there is no such job"),
    ],
)
def test_what_was_done_is_said_in_one_line(result: ActionResult, line: str) -> None:
    assert result_line(result) == line


def test_a_question_says_numbers_and_states_gravest_first() -> None:
    plan = ActionResult(verb=Verb.CANCEL, done=[1, 2, 3], skipped={"already ended": [4]})
    assert question(Verb.CANCEL, plan, [READY, FAILED, READY]) == "cancel 3 jobs (1 failed, 2 ready), 1 cannot be?"
    assert question(Verb.CANCEL, ActionResult(verb=Verb.CANCEL, done=[7]), [READY]) == "cancel J7?"
    more = ActionResult(verb=Verb.CANCEL, done=[7], stopping=[8], also={"cancelled, as it was submitted": [8, 9, 10]})
    assert question(Verb.CANCEL, more, []) == "cancel 2 jobs, and 2 with them?"
