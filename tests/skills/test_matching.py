"""Which skills fit which jobs: the words of both decide, the same way each time, and say why."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills.choosing import Wish, choose
from engine.skills.finding import find_skills, shelves
from engine.skills.matching import JOB_TAG, WHOLE_NAME, Text, rank
from engine.skills.prompting import HIDDEN, Page, given_text, named_line
from engine.skills.skill import Skill

SHIPPED = find_skills(shelves(Path("/nonexistent")))

#: What people ask for, and the skill that is meant.
ASKED = [
    ("incident-triage", "checkout is down in production, customers get 502s since 14:00, find out what is going on"),
    ("incident-triage", "the payments alert fired: error rate 8 %, service degraded"),
    ("log-forensics", "there is a 4 GB log file in /var/log/app, find the first error and what caused it"),
    ("log-forensics", "read the journald output of the worker and tell me why it died"),
    ("postmortem-writer", "write the postmortem for last week's database incident from the notes in incident.md"),
    ("runbook-author", "turn what we did to fix the stuck replication into a runbook for on-call"),
    ("change-risk-review", "how risky is this config change before we deploy it on Friday?"),
    ("release-manager", "prepare release 2.4: changelog, version bump and tag"),
    ("rollback-planner", "we may have to undo yesterday's deploy; plan the rollback including the data"),
    ("ci-failure-fixer", "the pipeline is red on main, job test-linux fails, please fix"),
    ("ci-failure-fixer", "CI fails since the last merge"),
    ("flaky-test-hunter", "test_upload fails intermittently, about one run in twenty; make it stable"),
    ("flaky-test-hunter", "fix the flaky tests in tests/api"),
    ("dependency-upgrader", "upgrade django from 4.2 to 5.1 and fix what breaks"),
    ("dependency-upgrader", "our packages are outdated, bring the lockfile up to date"),
    ("vulnerability-triage", "does CVE-2026-12345 in libxml2 affect us?"),
    ("vulnerability-triage", "go through the trivy scanner output and say which advisories matter"),
    ("secret-leak-response", "someone committed an AWS secret key to the repo"),
    ("secret-leak-response", "an API token leaked into the logs"),
    ("code-review-writer-reviewer", "review this change for correctness and security"),
    ("code-review-writer-reviewer", "please do a code review of the branch feature/login"),
    ("review-judge", "merge the three reviews into one verdict"),
    ("test-writer", "add tests for the parser, the coverage is 40 %"),
    ("test-writer", "write unit tests for billing.py covering the error paths"),
    ("bug-reproducer", "issue 812 says export crashes with umlauts; build a minimal reproduction of the bug"),
    ("refactor-safely", "split runner.py into smaller modules without changing behaviour"),
    ("refactor-safely", "refactor the settings code, it is a mess"),
    ("legacy-mapper", "I have never seen this repository; give me an overview of the codebase and its entry points"),
    ("api-contract-checker", "I changed openapi.yaml: is it a breaking change for existing clients?"),
    ("db-migration-guard", "check the migration 0042_add_index.sql: will it lock the orders table?"),
    ("performance-profiler", "GET /orders takes 900 ms, profile it and make it faster"),
    ("performance-profiler", "the test suite is slow, find the hot path"),
    ("load-test-designer", "how many requests per second can the service handle? do a load test locally"),
    ("observability-instrumenter", "add metrics and tracing to the worker so that we can debug it"),
    ("infra-config-auditor", "audit our kubernetes manifests and Dockerfiles for security"),
    ("infra-config-auditor", "check the terraform plan for dangerous changes"),
    ("cost-analyst", "why did we spend $400 on tokens this week, and how can it be cheaper?"),
    ("prompt-hardener", "the agent prompt of the nightly job keeps failing, improve the prompt"),
    ("job-decomposer", "split this big feature request into jobs with acceptance checks"),
    ("handoff-summary", "write a handoff so that the next agent can continue"),
    ("memory-curator", "extract durable facts from the finished job and merge duplicates in memory"),
    ("docs-sync", "the README and docs no longer match the code after the flag was renamed, fix the documentation"),
    ("data-quality-check", "profile customers.csv: nulls, duplicates, outliers"),
    ("scheduled-report", "write the daily status report of jobs, failures and costs"),
    ("triage-failed-run", "job 381 failed, find out why and whether to retry it"),
]
#: What needs no skill.
PLAIN = [
    "rename the variable foo to bar in utils.py",
    "add a dark mode switch to the settings page",
    "translate the landing page to German",
    "implement the /users endpoint with pagination",
    "what is 2+2?",
    "make the button blue",
    "write a haiku about the sea",
    "convert images to webp",
    "add OAuth login with Google",
    "fix the typo in the header",
    "implement quicksort in Rust",
    "bump the copyright year",
    "add a report page to the admin area",
    "parse the CSV upload and store it in the table",
    "write the code for the login form",
    "deploy to production after the tests pass",
    "add a search box to the product list",
    "show the order status in the customer portal",
    "log the user in after sign-up",
    "store sessions in redis",
    "make the API return JSON errors",
    "add a cron job that deletes old sessions",
    "implement a rate limiter",
    "cache the product images",
    "build the docker image in CI",
    "create a new Kubernetes namespace",
    "write SQL to list the top customers",
    "add unit conversion to the calculator",
    "split the string at commas",
    "merge the branch feature/x into main",
]


def skill(name: str, *, tags: str = "", tokens: int = 100, problem: str | None = None) -> Skill:
    path = f"/s/{name}/SKILL.md"
    return Skill(name=name, description="Does it.", path=path, tags=tags.split(), tokens=tokens, problem=problem)


def test_a_task_finds_its_skill_and_most_others_find_none() -> None:
    found = [(wanted, [match.name for match in rank(Text(words), SHIPPED)]) for wanted, words in ASKED]
    first = sum(names[:1] == [wanted] for wanted, names in found)
    assert first >= 0.9 * len(ASKED), [one for one in found if one[1][:1] != [one[0]]]
    matched = [words for words in PLAIN if rank(Text(words), SHIPPED)]
    assert len(matched) <= 0.15 * len(PLAIN), matched


def test_a_tag_of_the_job_asks_in_a_word() -> None:
    shelf = [skill("tide-tables", tags="harbour"), skill("other")]
    (match,) = rank(Text("when can we sail?", tags=("harbour",)), shelf)
    assert (match.name, match.score) == ("tide-tables", JOB_TAG)
    assert match.reason == "the job's tag 'harbour' is one of its tags"
    (match,) = rank(Text("when can we sail?", kind="tide-tables"), shelf)
    assert match.score > WHOLE_NAME and match.reason.startswith("the job's tag 'tide-tables' names it")


def test_the_name_in_the_task_is_enough() -> None:
    (match,) = rank(Text("Use the tide tables for this."), [skill("tide-tables"), skill("other-one")])
    assert match.name == "tide-tables" and match.reason.startswith("the task names it")


@given(st.text(max_size=200), st.randoms())
def test_the_same_is_said_in_whatever_order_they_are_found(words: str, order: random.Random) -> None:
    mixed = list(SHIPPED)
    order.shuffle(mixed)
    assert rank(Text(words), mixed) == rank(Text(words), SHIPPED)


def test_a_broken_skill_matches_nothing() -> None:
    assert rank(Text("x", tags=("mine",)), [skill("mine", problem="it is broken")]) == []


def test_named_ones_come_first_and_what_matches_takes_the_rest() -> None:
    shelf = [
        skill("named", tokens=900),
        *(skill(f"match-{n}", tags="ops", tokens=100 * n) for n in (1, 2, 3)),
        skill("broken", problem="no head"),
    ]
    wish = Wish([("named", "the job names it"), ("broken", "p"), ("none", "p")], match=True, most=2, budget=1_250)
    choice = choose(wish, Text("x", tags=("ops",)), shelf)
    assert [one.skill.name for one in choice.chosen] == ["named", "match-1", "match-2"]
    assert [one.score for one in choice.chosen] == [None, JOB_TAG, JOB_TAG]
    assert [(one.skill.name, why) for one, why in choice.left_out] == [("match-3", "2 others match better")]
    assert choice.missing == (("broken", "no head"), ("none", "there is none of that name"))
    poor = choose(Wish(wish.named, match=True, most=4, budget=1_100), Text("x", tags=("ops",)), shelf)
    assert [one.skill.name for one in poor.chosen] == ["named", "match-1"]
    assert poor.left_out[0][1] == "it would pass the budget of 1,100 tokens"


def test_nothing_is_matched_unless_it_is_asked_for() -> None:
    choice = choose(Wish(), Text("fix the flaky tests"), SHIPPED)
    assert (choice.chosen, choice.left_out, choice.missing) == ((), (), ())


def test_skills_are_told_in_the_prompt_as_far_as_the_budget_reaches() -> None:
    small = Page("small", "Small <one>.", "Do this.")
    large = Page("large", "Large <one>.", "word " * 2_000, "/s/large", ("scripts/a.py",))
    text, notes = given_text([small, large], 300)
    assert '<skill_content name="small">\nDo this.\n</skill_content>' in text
    assert "<location>/s/large/SKILL.md</location>" in text and "Large &lt;one&gt;." in text and "word word" not in text
    assert notes == {"large": f"{HIDDEN}: it was told where it is"}
    whole, notes = given_text([large], 5_000)
    assert "<file>scripts/a.py</file>" in whole and "<available_skills>" not in whole and notes == {}
    assert given_text([Page("large", "x", "word " * 2_000)], 300) == ("", {"large": HIDDEN})
    assert given_text([], 300) == ("", {})


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([], ""),
        (["a"], "Use the skill `a` for this task."),
        (["a", "b"], "Use the skills `a`, `b` for this task."),
    ],
)
def test_named_skills_are_pointed_out(names: list[str], line: str) -> None:
    assert named_line(names) == line
