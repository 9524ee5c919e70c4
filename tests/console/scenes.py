"""Scenes that the tests play: an empty engine, a busy one, one that does not answer."""

from __future__ import annotations

from engine.agents import events as say
from engine.decision import Card, CardKind
from engine.model import AgentStatus, Cause, Estimate, Failure, Grade, Preview, Quota, Reason, State
from engine.model.account import AccountStatus
from engine.model.forecast import Forecast, Through
from engine.model.route import Expected, Standing, TrackRecord, WindowState
from engine.model.trend import Trend
from engine.window import Standing as WindowStanding
from engine.window import WindowState as WindowLine
from tests.console.fake import MINUTE, NOW, FakeEngine, make_job

_TITLES = (
    "parser: keep comments between tokens",
    "retry the flaky parser login test",
    "migrate the cache schema to v3",
    "port the diff review docs",
    "token limit in the stream parser",
    "fix login page retry",
)


def empty() -> FakeEngine:
    return FakeEngine()


def away() -> FakeEngine:
    engine = FakeEngine()
    engine.away = "no engine serves /home/you/.local/state/headway"
    return engine


def busy() -> FakeEngine:
    """Four agents at work, each in the middle of something else; jobs in every state around them."""
    cost = {"cost_grade": Grade.REPORTED, "input_tokens": 41_200, "output_tokens": 2_800}
    engine = FakeEngine(
        [
            make_job(4833, State.RUNNING, _TITLES[0], minutes=12, cost_micros=1_204_000, priority=0, **cost),
            make_job(
                4832, State.RUNNING, "stream: backpressure", model="sonnet-5", minutes=41, cost_micros=377_000, **cost
            ),
            make_job(4830, State.RUNNING, "docs for the diff view", agent="codex", model="gpt-6", minutes=3),
            make_job(4829, State.RUNNING, "make bench", agent="shell", model=None, minutes=1, project=None),
            make_job(4840, State.READY, "index the archive by day", minutes=3),
            make_job(4839, State.READY, "limit the size of one log line", minutes=4, held_by="operator"),
            make_job(
                4838, State.READY, "summaries in Japanese: 日本語の要約", minutes=9, attempts=1,
                failure=Failure.RATE_LIMITED, not_before=NOW + 134 * MINUTE,
            ),
            make_job(4837, State.READY, "nightly review", minutes=9, not_before=NOW + 700 * MINUTE),
            make_job(4836, State.BLOCKED, "publish what J4833 built", minutes=9),
            make_job(
                4812, State.FAILED, _TITLES[1], minutes=124, failure=Failure.CRASHED, reason="exit 139: signal 11",
                cost_micros=3_118_000, attempts=3, cost_grade=Grade.COMPUTED, input_tokens=90_000, output_tokens=900,
            ),
            make_job(
                4809, State.FAILED, _TITLES[2], minutes=130, failure=Failure.ENGINE_LOST, reason="the agent vanished",
                cost_micros=2_902_000, attempts=2, cost_grade=Grade.ESTIMATED, input_tokens=80_000, output_tokens=900,
            ),
            make_job(4806, State.SUCCEEDED, _TITLES[3], minutes=131, cost_micros=551_000, **cost),
            make_job(4805, State.CANCELLED, _TITLES[4], minutes=1500, cost_micros=2_207_000, **cost),
            *(make_job(4700 - n, State.SUCCEEDED, f"{_TITLES[n % 6]} {n}", minutes=2000 + 61 * n) for n in range(60)),
        ]
    )  # fmt: skip
    _write_logs(engine)
    return engine


def _write_logs(engine: FakeEngine) -> None:
    engine.write(
        4833,
        say.Started(session="5d1c", model="opus-5", agent_version="2.1.0"),
        say.Text("I read the tokenizer first: the comments are dropped before the writer sees them."),
        say.ToolCall(id="1", name="Read", summary="src/parser/tokens.py", context_tokens=38_000),
        say.ToolResult(id="1", ok=True, output="import re\n" * 212),
        say.ToolCall(id="2", name="Edit", summary="src/parser/tokens.py"),
        say.FileEdit(path="src/parser/tokens.py", added=14, removed=3),
        say.ToolCall(id="3", name="Bash", summary="pytest tests/parser -q", context_tokens=41_000),
        say.ToolResult(id="3", ok=True, output="41 passed in 3.2s"),
        say.Text("The comments survive now. Next the writer must put them back where they were."),
    )
    engine.write(
        4832,
        say.Text("The queue grows without a bound when the reader is slow."),
        say.ToolCall(id="1", name="Grep", summary="maxsize in engine/", context_tokens=18_000),
        say.ToolResult(id="1", ok=True, output="engine/stream.py:41: queue = Queue()\nengine/stream.py:77\n"),
        say.Retrying(attempt=2, delay_ms=4_000, status=529, error="overloaded"),
        say.Limit(window="five_hour", status="warning", used=0.93, resets_at=NOW + 134 * MINUTE),
        say.ToolCall(id="2", name="Bash", summary="pytest tests/stream -q"),
        say.ToolResult(id="2", ok=False, output="FAILED tests/stream/test_slow.py::test_bound\n1 failed"),
    )
    engine.write(
        4830,
        say.Text("Writing the page: \x1b[31mred\x1b[0m\x1b]0;owned\x07 and\ttabs, and 日本語 too."),
        say.FileEdit(path="docs/diff.md", added=120, removed=0),
        say.Compacted(before_tokens=181_000, after_tokens=42_000, trigger="auto"),
    )
    engine.write(4829, *(say.Output(text=f"bench {n:>3}  {n * 17 % 97:>4} ms") for n in range(40)))
    engine.diffs[4833] = DIFF
    engine.keeps[4836] = Reason(Cause.DEPENDENCY, "comes after J4833", jobs=[4833])
    engine.keeps[4840] = Reason(Cause.LIMIT, "claude: five_hour is used up", until=NOW + 134 * MINUTE, scope="claude")
    engine.targets = TARGETS
    engine.books.forecast = Forecast(
        now=NOW, through=Through(jobs=9, finish=NOW + 200 * MINUTE, cost_micros=4_200_000, games=200)
    )
    engine.books.windows = [
        WindowLine(
            account="claude", window="five_hour", model="", standing=WindowStanding.CLOSED, used=1.0, waiting=3,
            resets_at=NOW + 134 * MINUTE, until=NOW + 134 * MINUTE, source="claude", observed_at=NOW, length=None,
        ),
        WindowLine(
            account="codex", window="primary", model="", standing=WindowStanding.OPEN, used=0.31, waiting=0,
            resets_at=NOW + 40 * MINUTE, until=None, source="codex", observed_at=NOW, length=None,
        ),
    ]  # fmt: skip
    engine.books.forecast = Forecast(
        now=NOW, through=Through(jobs=9, finish=NOW + 200 * MINUTE, cost_micros=4_200_000, games=200)
    )
    engine.of_late = Trend(
        since=NOW - 60 * MINUTE, step=5 * MINUTE, done=[0, 1, 1, 2, 4, 6, 4, 2, 1, 3, 4, 7],
        failed=[0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0], cost_micros=[100_000 * n for n in range(12)],
        tokens=[40_000] * 12, depth=[20, 22, 21, 19, 15, 14, 14, 12, 11, 10, 10, 9],
    )  # fmt: skip
    engine.expected = {
        4833: Estimate(
            job=4833, target="claude:opus-5", start=NOW, finish=NOW + 8 * MINUTE, finish_late=NOW + 30 * MINUTE
        ),
        4832: Estimate(job=4832, target="claude:sonnet-5", start=NOW, finish=NOW + 15 * MINUTE),
        4840: Estimate(job=4840, target="claude:opus-5", start=NOW + 20 * MINUTE, finish=NOW + 45 * MINUTE),
        4839: Estimate(job=4839, target="claude:opus-5", why="it is held"),
    }
    engine.preview = PREVIEW
    engine.waiting[4838] = [Reason(Cause.LIMIT, "claude: the five_hour limit resets in 2h14")]


TARGETS = [
    Standing(
        target="claude:opus-5", window=WindowState.CLOSED, used=1.0, closed="five_hour is used up", here=True,
        until=NOW + 134 * MINUTE, expected=Expected(410_000, 12), added=0, record=TrackRecord(14, 15),
    ),
    Standing(
        target="codex:gpt-6", window=WindowState.OPEN, used=0.31, expected=Expected(290_000, 7), added=-120_000,
        record=TrackRecord(6, 8),
    ),
    Standing(target="opencode:local/qwen3", window=WindowState.UNKNOWN, lacks="it has no session to go on in"),
]  # fmt: skip
PREVIEW = Preview(
    finish_before=NOW + 200 * MINUTE,
    finish_after=NOW + 120 * MINUTE,
    cost_micros=-240_000,
    quota=[
        Quota(account="claude", jobs=-2, window="five_hour", used=1.0),
        Quota(account="codex", jobs=2, window="primary", used=0.31),
    ],
)

DIFF = """\
diff --git a/src/parser/tokens.py b/src/parser/tokens.py
index 1111111..2222222 100644
--- a/src/parser/tokens.py
+++ b/src/parser/tokens.py
@@ -41,3 +41,3 @@ class Tokens:
     def tokens(self):
-        return self._strip(self._raw)
+        return self._raw if self.keep else self._strip(self._raw)

diff --git a/tests/parser/test_comments.py b/tests/parser/test_comments.py
new file mode 100644
--- /dev/null
+++ b/tests/parser/test_comments.py
@@ -0,0 +1,2 @@
+def test_comments_survive():
+    assert tokens("a # b").comments == ["# b"]
"""


def asking() -> FakeEngine:
    """Three agents wait for the operator: for a command, for an edit, and for an answer."""
    engine = busy()
    place = "/src/core-engine"
    diff = "diff --git a/src/parser.py b/src/parser.py\n--- a/src/parser.py\n+++ b/src/parser.py\n@@ -1,2 +1,2 @@\n"
    diff += " def tokens(self):\n-    return self._strip(raw)\n+    return raw if self.keep else self._strip(raw)\n"
    options = '{"questions":[{"question":"Which parser is canonical?"}]}'
    engine.cards = [
        Card(
            id=7, kind=CardKind.PERMISSION, job=4833, attempt=1, agent="claude", tool="Bash", project=place,
            summary="git push origin v0.3.0", subject="git push origin v0.3.0", title="parser: keep comments",
            arguments='{"command":"git push origin v0.3.0","description":"Push the tag"}',
            why="The tag is made. I will push it now.", at=NOW - 31 * MINUTE, due=NOW + 29 * MINUTE,
        ),
        Card(
            id=8, kind=CardKind.PERMISSION, job=4832, attempt=2, agent="claude", tool="Edit", project=place, diff=diff,
            summary="src/parser.py", subject="src/parser.py", title="stream: backpressure", arguments="{}",
            at=NOW - 12 * MINUTE,
        ),
        Card(
            id=9, kind=CardKind.QUESTION, job=4830, attempt=3, agent="claude", tool="AskUserQuestion", project=place,
            summary="Which parser is canonical?", title="docs for the diff view", arguments=options,
            options=("parser/", "legacy/"), at=NOW - 4 * MINUTE, due=NOW + 26 * MINUTE,
        ),
    ]  # fmt: skip
    for card in engine.cards:
        engine.change(card.job, waiting_on=card.id)
    return engine


def first_day() -> FakeEngine:
    """No job yet; one agent is ready, one is not signed in, one is not here."""
    engine = FakeEngine()
    signed_in = AccountStatus(name="work", ok=True, found="signed in")
    signed_out = AccountStatus(name="default", ok=False, found="not signed in", mend="codex login")
    engine.agents_here = [
        AgentStatus(agent="claude", program="claude", version="2.1.0", accounts=[signed_in]),
        AgentStatus(agent="codex", program="codex", version="0.98", accounts=[signed_out]),
        AgentStatus(agent="gemini", program="gemini", version=None, problem="gemini is not installed"),
    ]
    return engine
