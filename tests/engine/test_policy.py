"""Which rule like answers suggest: never wider than what was seen, and never past a refusal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decision import CardKind, Choice, Effect, Past, Rule
from engine.permission import Use, matches
from engine.policy import Seen, covers, past, suggested


def command(text: str, choice: Choice = Choice.ALLOW, *, project: str | None = "/api", **more: object) -> Seen:
    return Seen(1, CardKind.PERMISSION, Use("Bash", text, 1, project, shell=True), choice, **more)  # type: ignore[arg-type]


def path(text: str, choice: Choice = Choice.ALLOW) -> Seen:
    return Seen(1, CardKind.PERMISSION, Use("Edit", text, 1, "/api"), choice)


def commands(*texts: str, choice: Choice = Choice.ALLOW) -> list[Seen]:
    return [command(one, choice) for one in texts]


@pytest.mark.parametrize(
    ("seen", "pattern"),
    [
        (commands("make lint", "make lint", "make lint"), "make lint"),
        (commands("pytest tests/a.py", "pytest tests/b.py", "pytest tests/c.py"), "pytest tests/<word>"),
        (commands("git push origin a", "git push origin b", "git push origin c"), "git push origin <word>"),
        ([path("src/a.py"), path("src/b.py"), path("src/c.py")], "src/<word>"),
        (commands("make lint", "make test", "make lint", "make lint"), "make lint"),
        # Not often enough, too different, or it would leave open what is run.
        (commands("make lint", "make lint"), None),
        (commands("make lint", "make test", "make docs"), None),
        (commands("rm a", "rm b", "rm c"), None),
        (commands("sudo apt a", "sudo apt b", "sudo apt c"), None),
        (commands("git push origin a", "git pull origin b", "git fetch origin c"), None),
        (commands("pytest a/x.py", "pytest b/y.py", "pytest c/z.py"), None),
        ([path("a.py"), path("b.py"), path("c.py")], None),
        # Without a project it would hold everywhere.
        ([command("make lint", project=None)] * 3, None),
    ],
)
def test_a_rule_is_no_wider_than_what_was_seen(seen: Sequence[Seen], pattern: str | None) -> None:
    rule = suggested(seen, 3)
    assert (rule.pattern if rule is not None else None) == pattern
    if rule is not None:
        assert (rule.tool, rule.project, rule.effect) == (seen[0].use.tool, "/api", Effect.ALLOW)


def test_nothing_is_allowed_by_a_rule_that_was_ever_denied() -> None:
    three = commands("git push origin a", "git push origin b", "git push origin c")
    assert suggested([*three, command("git push origin main", Choice.DENY)], 3) is None
    assert suggested([*three, command("git push --force", Choice.DENY)], 3) is not None, "it does not cover that"
    same = commands(*["make lint"] * 5)
    assert suggested([*same, command("make lint", Choice.DENY)], 3) is None


def test_a_denial_becomes_a_rule_where_the_newest_answers_are_all_so() -> None:
    denied = commands(*["rm -r build"] * 3, choice=Choice.DENY)
    rule = suggested([*denied, command("rm -r build")], 3)
    assert rule is not None
    assert (rule.effect, rule.pattern) == (Effect.DENY, "rm -r build")
    assert past(rule, [*denied, command("rm -r build")]) == Past(matched=4, agreed=3, against=1, cards=(1, 1, 1, 1))
    assert suggested([denied[0], command("rm -r build"), *denied[1:]], 3) is None


def test_what_rules_and_time_have_answered_is_no_habit() -> None:
    by_time = [command("make lint", person=False)] * 5
    assert suggested(by_time, 3) is None
    three = commands(*["make lint"] * 3)
    rule = suggested([*three, *by_time], 3)
    assert rule is not None
    assert past(rule, [*three, *by_time]) == Past(matched=8, agreed=3, other=5, cards=(1, 1, 1))


def test_the_kind_of_job_that_was_seen_alone_stays_in_the_rule() -> None:
    def of_kind(kind: str | None) -> Seen:
        use = Use("Bash", "make lint", 1, "/api", shell=True, job_kind=kind)
        return Seen(1, CardKind.PERMISSION, use, Choice.ALLOW)

    alike = suggested([of_kind("docs")] * 3, 3)
    mixed = suggested([of_kind("docs"), of_kind("fix"), of_kind("docs")], 3)
    assert alike is not None and mixed is not None
    assert (alike.job_kind, mixed.job_kind) == ("docs", None)
    assert not covers(alike, of_kind("fix"))


def test_other_cards_than_permissions_have_habits_too_but_none_that_costs_money() -> None:
    def card(kind: CardKind, tool: str, subject: str, choice: Choice, words: str | None = None) -> Seen:
        return Seen(1, kind, Use(tool, subject, 1, "/api"), choice, words)

    moved = [card(CardKind.ROUTE, "route", "claude:opus limit", Choice.REROUTE, "codex:gpt")] * 3
    rule = suggested(moved, 3)
    assert rule is not None
    assert (rule.kind, rule.choice, rule.words, rule.pattern) == (
        CardKind.ROUTE, Choice.REROUTE, "codex:gpt", "claude:opus limit",
    )  # fmt: skip
    elsewhere = card(CardKind.ROUTE, "route", "claude:opus limit", Choice.REROUTE, "gemini")
    assert suggested([moved[0], elsewhere, moved[0], moved[0]], 3) is None
    runs = suggested([card(CardKind.CLARIFY, "triage", "", Choice.RUN)] * 3, 3)
    assert runs is not None and (runs.kind, runs.pattern) == (CardKind.CLARIFY, "*")
    assert suggested([card(CardKind.BUDGET, "day", "", Choice.MORE)] * 9, 3) is None
    assert suggested([card(CardKind.QUESTION, "ask", "which?", Choice.ANSWER, "a")] * 9, 3) is None


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("git push origin main", True),
        ("git push origin a-b_c.1", True),
        ("git push origin --force", False),
        ("git push origin a b", False),
        ("git push origin a;rm", False),
        ("git push origin $HOME", False),
        ("git push origin ..", False),
        ("git push origin a/b", False),
        ("git push origin ", False),
        ("git push origin `id`", False),
        ("git push origin a\nrm", False),
    ],
)
def test_an_open_word_is_one_name_that_leads_nowhere_else(text: str, fits: bool) -> None:
    rule = Rule(tool="Bash", pattern="git push origin <word>", project="/api")
    assert matches(rule, Use("Bash", text, 1, "/api", shell=True)) is fits


_WORDS = st.sampled_from(["git", "push", "a", "b", "c", "d/e", "d/f", "d/g", "--all", "sudo", ".."])
_SEEN = st.lists(
    st.tuples(st.lists(_WORDS, min_size=1, max_size=4).map(" ".join), st.sampled_from([Choice.ALLOW, Choice.DENY])),
    max_size=9,
)


@given(_SEEN, st.integers(1, 4))
def test_whatever_was_answered_no_rule_covers_what_was_denied_or_was_seen_too_seldom(
    answers: list[tuple[str, Choice]], least: int
) -> None:
    seen = [command(text, choice) for text, choice in answers]
    rule = suggested(seen, least)
    if rule is None:
        return
    found = past(rule, seen)
    assert found.agreed >= least
    if rule.effect is Effect.ALLOW:
        assert not any(covers(rule, one) for one in seen if one.choice is Choice.DENY)
    programs = {one.use.subject.split(" ")[0] for one in seen if covers(rule, one)}
    assert len(programs) == 1
