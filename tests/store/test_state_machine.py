"""The queue's verbs in any order against the queue in plain Python: 10,000 steps of it in each run of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from engine.errors import NotFoundError
from engine.model import JobSpec, State, Target, Verb
from engine.store import actions, verbs
from engine.store.filter import parse
from engine.store.places import Place
from engine.store.verbs import Request
from engine.upkeep.prune import Wanted, prune
from tests.store import plain_verbs as plain
from tests.store.plain_queue import NOT_WELL, PlainAction
from tests.store.plain_verbs import Done
from tests.store.queue_machine import LATER, TwoQueues
from tests.store.samples import connect

pytestmark = pytest.mark.long

RUNS, STEPS = 200, 50
SOME = st.lists(st.integers(0, 30), min_size=1, max_size=3)
SCOPES = st.sampled_from(["all", "agent:shell", "project:/a", "tag:gpu", "target:claude@work"])


class QueueMachine(TwoQueues):
    @precondition(lambda self: self.plain.jobs)
    @rule(numbers=SOME)
    def hold(self, numbers: list[int]) -> None:
        ids = self.named(numbers)
        self.act(Verb.HOLD, ids, lambda: plain.on_each(self.plain, ids, plain.hold("ann")))

    @precondition(lambda self: self.plain.jobs)
    @rule(numbers=SOME)
    def release(self, numbers: list[int]) -> None:
        ids = self.named(numbers)
        self.act(Verb.RELEASE, ids, lambda: plain.on_each(self.plain, ids, plain.release))

    @precondition(lambda self: self.plain.jobs)
    @rule(numbers=SOME)
    def cancel(self, numbers: list[int]) -> None:
        ids = self.named(numbers)
        self.act(Verb.CANCEL, ids, lambda: plain.cancel(self.plain, ids))

    @precondition(lambda self: self.plain.jobs)
    @rule(numbers=SOME, fresh=st.booleans())
    def retry(self, numbers: list[int], fresh: bool) -> None:
        ids = self.named(numbers)
        self.act(Verb.RETRY, ids, lambda: plain.retry(self.plain, ids, fresh=fresh), fresh=fresh)

    @precondition(lambda self: self.plain.jobs)
    @rule(verb=st.sampled_from([Verb.RETRY, Verb.CANCEL]), state=st.sampled_from([*NOT_WELL, State.READY]))
    def all_in_a_state(self, verb: Verb, state: State) -> None:
        matching = [job for job in self.plain.jobs.values() if job.state is state]
        ids = [job.id for job in sorted(matching, key=lambda job: (job.priority, job.rank, job.id))]
        change = {
            Verb.CANCEL: lambda: plain.cancel(self.plain, ids),
            Verb.RETRY: lambda: plain.retry(self.plain, ids, fresh=False),
        }
        self.act(verb, (), change[verb], filter=parse(f"state:{state}", self.plain.now))

    @precondition(lambda self: self.plain.jobs)
    @rule(numbers=SOME, priority=st.sampled_from([0, 5, 9]))
    def prioritise(self, numbers: list[int], priority: int) -> None:
        ids = self.named(numbers)
        change = plain.prioritise(priority)
        self.act(Verb.PRIORITY, ids, lambda: plain.on_each(self.plain, ids, change), priority=priority)

    @precondition(lambda self: self.plain.jobs)
    @rule(numbers=SOME, later=LATER)
    def snooze(self, numbers: list[int], later: int | None) -> None:
        ids = self.named(numbers)
        until = None if later is None else self.plain.now + later
        self.act(Verb.SNOOZE, ids, lambda: plain.on_each(self.plain, ids, plain.snooze(until)), not_before=until)

    @precondition(lambda self: self.plain.jobs)
    @rule(numbers=SOME, agent=st.sampled_from(["shell", "claude"]), account=st.sampled_from([None, "work"]))
    def reroute(self, numbers: list[int], agent: str, account: str | None) -> None:
        ids = self.named(numbers)
        change = plain.reroute(agent, account)
        target = Target(agent, None, account)
        self.act(Verb.REROUTE, ids, lambda: plain.on_each(self.plain, ids, change), target=target)

    @precondition(lambda self: self.plain.jobs)
    @rule(number=st.integers(0, 30))
    def edit(self, number: int) -> None:
        ids = self.named([number])
        self.edits += 1
        prompt = f"{self.edits}"
        change = plain.edit(prompt)
        self.act(
            Verb.EDIT, ids, lambda: plain.on_each(self.plain, ids, change), edit=(self._spec(ids[0], prompt), prompt)
        )

    def _spec(self, number: int, prompt: str) -> JobSpec:
        job = self.plain.jobs[number]
        return JobSpec(
            prompt=prompt, priority=job.priority, tags=list(job.tags), key=job.key, on_failure=job.on_failure,
            repeatable=job.repeatable,
        )  # fmt: skip

    @precondition(lambda self: any(job.waits_in_line for job in self.plain.jobs.values()))
    @rule(numbers=SOME, where=st.sampled_from(["first", "last", "before", "after"]), beside=st.integers(0, 30))
    def move(self, numbers: list[int], where: str, beside: int) -> None:
        queue = self.plain
        waiting = sorted(job.id for job in queue.jobs.values() if job.waits_in_line)
        other = waiting[beside % len(waiting)]
        ids = [number for number in self.named(numbers) if number != other]
        if not ids:
            return
        moving = [number for number in ids if number in waiting]
        there = queue.jobs[other].priority
        place = Place.parse(where if where in ("first", "last") else f"{where}:{other}")

        def change() -> Done:
            priorities = {queue.jobs[number].priority for number in moving} if place.other is None else {there}
            for priority in priorities if moving else ():
                going = [n for n in moving if place.other is not None or queue.jobs[n].priority == priority]
                line = queue.line(priority, going)
                at = {"first": 0, "last": len(line)}.get(where)
                at = line.index(other) + (where == "after") if at is None else at
                self._stand([*line[:at], *going, *line[at:]], priority)
            return Done(done=moving, skipped=[number for number in ids if number not in moving])

        self.act(Verb.MOVE, ids, change, place=place)

    def _stand(self, line: Sequence[int], priority: int) -> None:
        """Take over where they stand, if that is the order that it should be."""
        for number in line:
            self.plain.jobs[number].rank = self.rows[number].rank
            self.plain.jobs[number].priority = priority
        assert self.plain.line(priority) == list(line)

    @rule(scope=SCOPES, held=st.booleans())
    def hold_a_scope(self, scope: str, held: bool) -> None:
        verb, by = (Verb.HOLD, "ann") if held else (Verb.RELEASE, None)
        self._set("holds", scope, self.plain.holds, by if not held else self.plain.holds.get(scope, by), verb)

    @rule(scope=SCOPES, limit=st.sampled_from([None, 0, 1, 2, 5]))
    def cap_a_scope(self, scope: str, limit: int | None) -> None:
        self._set("caps", scope, self.plain.caps, limit, Verb.CAP, limit=limit)

    def _set(self, name: str, scope: str, there: dict[str, object], to: object, verb: Verb, **what: Any) -> None:
        dry = Request(verb, (), "ann", scope=scope, dry_run=True, foresee=True, **what)
        acted = self.perform(lambda tx: verbs.act(tx, dry))
        self.left_no_trace()
        self.foresee_verb(verb, acted, what.get("limit"))
        request = Request(verb, (), "ann", scope=scope, **what)
        self.perform(lambda tx: verbs.act(tx, request))
        self.comes_true()
        self.plain.actions.append(PlainAction(scope=(name, scope, there.get(scope), to)))
        there.pop(scope, None)
        if to is not None:
            there[scope] = to

    @precondition(lambda self: any(job.is_over for job in self.plain.jobs.values()))
    @rule(limit=st.integers(1, 3))
    def prune(self, limit: int) -> None:
        """On the next day, as nothing of today goes."""
        self.plain.now += 3 * 86_400_000
        before = self.plain.now - 2 * 86_400_000
        gone = self.perform(lambda tx: prune(tx, Wanted(before, limit=limit), "ann"))
        assert [one.job for one in gone.gone] == sorted(self.plain.prune(before, limit))

    # ---- taking back

    @rule(back=st.sampled_from([None, None, None, 0, 1, 2, 5]), steps=st.integers(1, 3))
    def undo(self, back: int | None, steps: int) -> None:
        """The newest ones, or one further back."""
        for _ in range(1 if back is not None else steps):
            left = [number for number, action in enumerate(self.plain.actions, 1) if not action.undone]
            if not left:
                with pytest.raises(NotFoundError):
                    self.perform(lambda tx: actions.undo(tx, "ann", None, dry_run=False))
                return
            number = left[-1] if back is None else left[-1 - back % len(left)]
            asked = None if back is None else number
            dry = self.perform(lambda tx, asked=asked: actions.undo(tx, "ann", asked, dry_run=True)).undone
            self.left_no_trace()
            undone = self.perform(lambda tx, asked=asked: actions.undo(tx, "ann", asked, dry_run=False)).undone
            restored, lost = self.plain.undo(self.plain.actions[number - 1])
            self.follow_causes()
            assert undone.action == number
            assert set(undone.restored) == restored
            assert {job for found in undone.lost.values() for job in found} == lost
            assert (dry.restored, dry.lost, dry.said) == (undone.restored, undone.lost, undone.said)
            self.check()


class PreviewMachine(QueueMachine):
    foresees = True


def run(machine: type[QueueMachine], home: Path, runs: int) -> None:
    template = home / "template.db"
    connect(template).close()
    machine.template = template
    checks = list(HealthCheck)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs, stateful_step_count=STEPS, deadline=None, suppress_health_check=checks, database=None
        ),
    )


@pytest.fixture(autouse=True)
def half_of_each_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dispatch.settling.random.random", lambda: 0.5)


def test_the_queue_does_what_the_plain_queue_does(tmp_path: Path) -> None:
    run(QueueMachine, tmp_path, RUNS)


def test_what_a_preview_says_starts_now_is_what_the_dispatcher_then_starts(tmp_path: Path) -> None:
    run(PreviewMachine, tmp_path, RUNS // 10)
