"""`headway show JOB --context` and `--hand-off`: what a job is told, and what its attempts leave for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.cli.context import Context
    from engine.hand_off import Stored


def show_context(context: Context, job: int, attempt: int | None, *, ahead: bool, json: bool, texts: bool) -> None:
    """What an attempt was told, or would be: each part with its tokens, where and why; and what was left out."""
    from console.cli.output import print_json
    from console.told import briefing_lines

    found = context.ask(lambda client: client.context(job, attempt=attempt, ahead=ahead))
    if json:
        print_json(found)
    else:
        print("\n".join(briefing_lines(found, texts=texts)))


def show_hand_offs(context: Context, job: int, *, json: bool) -> None:
    """All that are kept of a job, the oldest first."""
    from console.cli.output import note, print_json

    found = context.ask(lambda client: client.hand_offs(job))
    if json:
        print_json(found)
        return
    if not found:
        note(f"J{job} has no hand-off: one is written where an attempt parks, fails or is followed by a new session")
    for place, one in enumerate(found):
        print("\n".join([*([""] if place else []), *_lines(one)]))


def _lines(one: Stored) -> list[str]:
    from console.format import clean_line, moment

    about = f"attempt {one.attempt}" if one.attempt is not None else "the job"
    told = f", told to attempt {one.told}" if one.told is not None else ""
    why = {"own": "in its own words", "park": "as it was parked", "failure": "as it failed"}.get(one.cause, one.cause)
    lines = [f"hand-off {one.id}  {moment(one.at)}  by {clean_line(one.by)}, of {about} {why}{told}"]
    note = one.note
    done = [f"{item.what}{f'  ({item.proof})' if item.proof else ''}" for item in note.done]
    parts = {"goal": [note.goal], "state": [note.state], "done": done, "next": note.next, "traps": note.traps}
    for name, entries in parts.items():
        for place, entry in enumerate(filter(None, entries)):
            lines.append(f"  {name if not place else '':<6} {clean_line(entry)}")
    return lines
