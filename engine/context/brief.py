"""A hand-off in its five parts, made from the record of what was done, and as lines to be told. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from engine.hand_off import LINE_LIMIT, Done, HandOff

if TYPE_CHECKING:
    from engine.context.handoff import Ran, Story

GOAL_CHARACTERS = 300  #: of the task; the whole of it is told beside
SAID_CHARACTERS = 300  #: of the agent's last words
DONE = 8  #: entries of what is done, the newest
OPEN = 3  #: commands that failed last


def structured(story: Story) -> HandOff:
    """What the record says of goal, state, what is done and how that is known, what is next, and what went wrong."""
    # A use of a tool that says nothing of itself tells nobody anything.
    last = {one.what: one for one in story.deeds.ran if one.what.strip()}
    failed = [one for one in last.values() if one.ok is False][-OPEN:]
    passed = [one for one in last.values() if one.ok]
    cut_off = [one for one in last.values() if one.ok is None][-OPEN:]
    mended = {one.what for one in story.deeds.ran if one.ok is False} & {one.what for one in passed}
    files = list(dict.fromkeys(one.path for one in reversed(story.deeds.edited)))
    done = [Done(_line(f"changed {path}"), _line(story.changed and f"the diff: {story.changed}")) for path in files[:3]]
    done += [
        Done(_line(one.what), "it failed first, and passed" if one.what in mended else "it passed")
        for one in reversed(passed[-(DONE - len(done)) :])
    ]
    said = " ".join(story.deeds.said[-1].split())[:SAID_CHARACTERS] if story.deeds.said else ""
    changed = f"changed so far: {story.changed}" if story.changed else ""
    state = [story.ended, changed, f"its last word: {said}" if said else ""]
    denied = dict.fromkeys(story.deeds.denied)
    following = [_line(f"make this pass: {one.what}") for one in reversed(failed)]
    following += [_line(f"see whether this was done: {one.what}") for one in reversed(cut_off)]
    return HandOff(
        goal=" ".join(story.task.split())[:GOAL_CHARACTERS],
        state=_line("; ".join(filter(None, state))),
        done=done,
        next=following or ["look at what is there, and finish the task"],
        traps=[*_failures(reversed(failed)), *(_line(f"refused: {tool}") for tool in denied)],
    )


def lines_of(note: HandOff) -> list[str]:
    """As lines of a list, the weightiest first."""
    return list(_lines(note))


def _lines(note: HandOff) -> Iterator[str]:
    for word, text in (("Goal", note.goal), ("State", note.state)):
        if text.strip():
            yield f"- {word}: {_line(text)}"
    yield from (f"- Next: {_line(one)}" for one in note.next)
    yield from (f"- Trap: {_line(one)}" for one in note.traps)
    for one in note.done:
        yield f"- Done: {_line(one.what)}{f' ({_line(one.proof)})' if one.proof.strip() else ''}"


def _failures(failed: Sequence[Ran] | Iterator[Ran]) -> Iterator[str]:
    for one in failed:
        told = next((line for line in reversed(one.output.strip().splitlines()) if line.strip()), "")
        yield _line(f"{one.what} failed{f': {told.strip()}' if told else ''}")


def _line(text: str) -> str:
    return " ".join(text.split())[:LINE_LIMIT]
