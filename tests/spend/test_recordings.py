"""The ledger against every recording of the real agents: their own totals, to the token, however often it is told."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from engine.model import Grade, Usage, Verb
from engine.money import Entry
from engine.store import Store, jobs
from engine.store.claims import Claim
from tests.agents import replay
from tests.spend import books
from tests.store.samples import Bench, Clock, accepted, success

AGENTS = ("claude", "codex", "opencode", "gemini")
ALL = [(agent, case) for agent in AGENTS for case in books.cases(agent)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = Clock()
    store = await Store.open(tmp_path, lambda events: None, clock)
    yield Bench(store, tmp_path / "headway.db", clock)
    await store.close()


async def started(bench: Bench, agent: str) -> Claim:
    await bench.submit(accepted(agent=agent))
    (claim,) = await bench.claim(agent=agent)
    return claim


async def note(bench: Bench, claim: Claim, entries: Sequence[Entry]) -> None:
    await bench.store.write(lambda tx: jobs.spent(tx, claim.attempt.id, entries))


async def sums(bench: Bench, *attempts: int) -> books.Sums:
    found: books.Sums = {}
    for attempt in attempts:
        for one in await bench.store.read.usage(attempt):
            books.add(found, one.model, four(one))
    return found


def four(one: Usage) -> tuple[int, int, int, int]:
    return one.input_tokens, one.output_tokens, one.cache_read_tokens, one.cache_write_tokens


def is_resumed(agent: str, case: str) -> bool:
    return agent != "claude" and replay.table(agent)[case].resumed


async def test_the_ledger_of_every_recording_is_its_agents_own_total_to_the_token(bench: Bench) -> None:
    wrong = []
    for agent, case in ALL:
        resumed = is_resumed(agent, case)
        if agent == "codex" and resumed and not books.raw("codex", case, "rollout.jsonl"):
            continue  # its stream tells of its whole thread alone: below
        claim = await started(bench, agent)
        lines = len(books.raw(agent, case))
        # As it is read, then once more from the start and each line twice, as an engine does that adopts it.
        for entries in (
            books.entries(agent, case, resumed=resumed, cut=lines // 2),
            books.entries(agent, case, resumed=resumed),
            books.entries(agent, case, resumed=resumed, cut=lines // 3),
            books.entries(agent, case, resumed=resumed, times=2),
        ):
            await note(bench, claim, entries)
        counted = await sums(bench, claim.attempt.id)
        if counted != books.own_totals(agent, case):
            wrong.append((agent, case, counted, books.own_totals(agent, case)))
    assert not wrong, wrong[:5]
    assert len(ALL) > 250


async def test_a_message_that_a_later_attempt_tells_again_stays_with_the_first(bench: Bench) -> None:
    """A resumed or forked session may print what was said in it before."""
    first = await started(bench, "claude")
    entries = books.entries("claude", "tool_edit", resumed=False)
    await note(bench, first, entries)
    before = await sums(bench, first.attempt.id)
    second = await started(bench, "claude")
    messages = [one for one in entries if not one.message.startswith("/")]
    new = Entry(message="msg_new", usage=Usage(model="claude-opus-5-5", input_tokens=5, output_tokens=1))
    await note(bench, second, [*messages, new])
    assert await sums(bench, first.attempt.id) == before
    assert await sums(bench, second.attempt.id) == {"claude-opus-5-5": (5, 1, 0, 0)}


async def test_a_thread_of_codex_comes_to_its_own_total_over_all_its_runs_without_a_rollout(bench: Bench) -> None:
    """The stream of a resumed run tells the sum of the thread: what the ledger has not seen of it is this run's."""
    threads: dict[str, list[tuple[tuple[int, int, int, int], str]]] = defaultdict(list)
    for case in books.cases("codex"):
        if (found := books.thread_total(case)) and not books.raw("codex", case, "rollout.jsonl"):
            threads[found[0]].append((found[1], case))
    longest = max(threads.items(), key=lambda item: len(item[1]))
    assert len(longest[1]) >= 3
    for thread, runs in threads.items():
        if is_resumed("codex", sorted(runs)[0][1]):
            continue  # it goes on with one that was not recorded
        ids: list[int] = []
        await bench.submit(accepted(agent="codex", title=thread))
        for total, case in sorted(runs):
            (claim,) = await bench.claim(agent="codex")
            ids.append(claim.attempt.id)
            entries = books.entries("codex", case, resumed=len(ids) > 1)
            for _ in range(2):
                await note(bench, claim, entries)
            end = success(session=thread)
            await bench.settle(claim.attempt.id, dataclasses.replace(end, spent=entries))
            assert await sums(bench, *ids) == {"unknown": total}, case
            await bench.act(Verb.RETRY, [claim.job.id])
        await bench.act(Verb.CANCEL, [claim.job.id])


async def test_a_total_that_is_less_than_the_ledger_knows_says_nothing(bench: Bench) -> None:
    claim = await started(bench, "codex")
    usage = Usage(model="gpt-5.5", input_tokens=10, output_tokens=1)
    await note(bench, claim, [Entry(message="resp_1", usage=usage)])
    less = Entry(message="/thread", usage=Usage(model="gpt-5.5", input_tokens=4), of_session="t-1")
    await note(bench, claim, [less])
    assert await sums(bench, claim.attempt.id) == {"gpt-5.5": (10, 1, 0, 0)}


async def test_what_is_used_shows_while_it_is_used(bench: Bench) -> None:
    claim = await started(bench, "claude")
    lines = len(books.raw("claude", "tool_edit"))
    spent = []
    for cut in range(lines + 1):
        await note(bench, claim, books.entries("claude", "tool_edit", resumed=False, cut=cut))
        found = await sums(bench, claim.attempt.id)
        spent.append(found.get("claude-opus-5-5", (0, 0, 0, 0))[0])
    assert sorted(set(spent)) == [0, 1_200, 2_400, 3_600]
    assert spent == sorted(spent)
    micros, grade = await bench.store.read.spend_since(0)
    assert (micros, grade) == (26_700, Grade.REPORTED)
