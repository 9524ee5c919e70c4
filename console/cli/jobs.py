"""`headway jobs`, `show`, `logs`, `events`, `diff`: what is and what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import one_id, quoted

if TYPE_CHECKING:
    from engine.events import Event
    from engine.model import Attempt, Estimate, Job, JobDetail
    from engine.model.listing import Wait
    from engine.server.client import Client
    from engine.sessions import Session

_Job = Annotated[str, typer.Argument(metavar="JOB", help="A job id, such as 12 or J12.")]
_Attempt = Annotated[
    int | None, typer.Option("--attempt", metavar="N", help="An earlier attempt.  [default: the last]")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    for command in (jobs, show, logs, diff, events):
        app.command()(command)


def jobs(
    context: typer.Context,
    filter_: Annotated[
        list[str] | None, typer.Argument(metavar="FILTER", help="Such as: state:failed agent:claude title words")
    ] = None,
    state: Annotated[
        str | None, typer.Option(help="blocked, ready, running, gating, succeeded, failed, cancelled; commas between.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    sort: Annotated[
        str,
        typer.Option(help="By id, priority, state, age, cost, tokens, attempts, title, agent or project; -cost turns."),
    ] = "",
    json: _Json = False,
) -> None:
    """List jobs: what runs, what waits by priority, what ended last."""
    import msgspec

    from console.cli.output import note, print_json, print_table

    words = [*map(quoted, filter_ or []), *([f"state:{state}"] if state else [])]

    async def ask(client: Client) -> tuple[list[Job], dict[int, Estimate], dict[int, Wait]]:
        listed = await client.jobs(" ".join(words), limit, sort)
        unfinished = [job.id for job in listed if job.ended_at is None]
        known = {one.job: one for one in await client.estimates(unfinished)}
        return listed, known, {one.job: one for one in await client.waits(unfinished)}

    found, estimates, waits = ctx.of(context).ask(ask)
    if json:
        print_json(
            [
                {**msgspec.to_builtins(job), "estimate": estimates.get(job.id), "waits": waits.get(job.id)}
                for job in found
            ]
        )
        return
    if not found:
        note("no jobs match" if words else 'no jobs yet: headway submit "say hello" --agent claude')
        return
    if len(found) == limit:
        note(f"these are the first {limit:,}; --limit shows more, a filter others")
    heads = ("ID", "STATE", "P", "TARGET", "TRY", "AGE", "ENDS", "COST", "TITLE")
    print_table(heads, [_cells(job, estimates.get(job.id), waits.get(job.id)) for job in found], stretch=8)


def _cells(job: Job, estimate: Estimate | None, wait: Wait | None) -> tuple[str, ...]:
    from console.ahead import eta_text
    from console.format import age, clean_line, money
    from console.status import mark_of, shown_age
    from engine.clock import now_ms

    now = now_ms()
    mark = mark_of(job, now, wait)
    state = mark.word if not job.failure or job.state != "failed" else f"failed {job.failure}"
    cost = money(job.cost_micros, job.cost_grade, 4)
    ends = eta_text(estimate.finish, now) if estimate is not None else ""
    return (
        str(job.id), f"{mark.glyph} {state}", str(job.priority), job.target, str(job.attempts or "-"),
        age(shown_age(job, now)), ends, cost, clean_line(job.title),
    )  # fmt: skip


def show(
    context: typer.Context,
    job: _Job,
    json: _Json = False,
    context_: Annotated[
        bool,
        typer.Option("--context", help="What its newest attempt was told; before it starts, what it would be told."),
    ] = False,
    ahead: Annotated[
        bool, typer.Option("--ahead", help="With --context: what its next attempt would be told.")
    ] = False,
    texts: Annotated[bool, typer.Option("--texts", help="With --context, ahead: the words too.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", help="With --context: an earlier attempt.")
    ] = None,
    hand_off: Annotated[
        bool, typer.Option("--hand-off", help="What its attempts left for each other: goal, state, done, next, traps.")
    ] = False,
) -> None:
    """Everything known of one job: its state and why, its attempts, tokens and cost."""
    from console.cli.output import print_json

    if context_:
        from console.cli.told import show_context

        show_context(ctx.of(context), one_id(job), attempt, ahead=ahead, json=json, texts=texts)
        return
    if hand_off:
        from console.cli.told import show_hand_offs

        show_hand_offs(ctx.of(context), one_id(job), json=json)
        return
    detail = ctx.of(context).ask(lambda client: client.job(one_id(job)))
    if json:
        print_json(detail)
    else:
        print("\n".join(_described(detail)))


def _described(detail: JobDetail) -> list[str]:
    from console.format import clean_line, moment, money, number
    from console.gates import look_lines
    from console.moves import move_text
    from console.status import mark_of
    from engine.clock import now_ms

    job = detail.job
    mark = mark_of(job, now_ms())
    lines = [f"J{job.id}  {clean_line(job.title)}", f"  state     {mark.glyph} {mark.word}"]
    facts = {
        "class": job.failure,
        "reason": job.reason and clean_line(job.reason),
        "target": job.target,
        "route": job.route,
        "project": job.project or "none: a directory of its own",
        "priority": str(job.priority),
        "kind": job.kind,
        "gate": detail.spec.gate,
        "triage": job.triage,
        "tags": " ".join(job.tags),
        "key": job.key,
        "schedule": job.schedule,
        "worker": job.worker,
        "persona": detail.spec.persona,
        "batch": None if job.batch is None else str(job.batch),
        "deadline": moment(job.deadline) if job.deadline else None,
        "held by": job.held_by,
        "submitted": moment(job.created_at),
        "ended": moment(job.ended_at) if job.ended_at else None,
        "tokens": f"{number(job.input_tokens)} in, {number(job.output_tokens)} out" if job.input_tokens else None,
        "cost": f"{money(job.cost_micros, job.cost_grade, 4)} {job.cost_grade}"
        if job.cost_micros is not None
        else None,
    }
    lines += [f"  {name:<9} {value}" for name, value in facts.items() if value]
    lines += [f"  moved     {move_text(move)}" for move in detail.moves]
    if detail.refused:
        lines.append(f"  refused   of the network: {clean_line(', '.join(detail.refused))}")
    lines += [f"  waits     {clean_line(str(why))}" for why in detail.waiting]
    lines += [f"  after     J{other} {ended or 'has not ended'}" for other, ended in list(detail.after.items())[:10]]
    if len(detail.after) > 10:
        lines.append(f"            and {len(detail.after) - 10:,} more")
    if detail.before:
        lines.append(f"  before    {', '.join(f'J{other}' for other in detail.before[:10])}")
    if detail.parent is not None:
        lines.append(f"  parent    J{detail.parent}, whose agent submitted it")
    if detail.children:
        lines.append(f"  children  {', '.join(f'J{child}' for child in detail.children)}")
    known = {one.id: one for one in detail.sessions}
    for attempt in detail.attempts:
        lines += _attempt_lines(attempt, known.get(attempt.session or ""))
    lines += look_lines(detail.looks)
    lines += ["", "  prompt", *(f"    {clean_line(line)}" for line in detail.spec.prompt.splitlines())]
    return lines


def _attempt_lines(attempt: Attempt, session: Session | None) -> list[str]:
    from pathlib import Path

    from console.conversation import compacted_text, context_text, session_text
    from console.footprint import footprint_text
    from console.format import age, clean_line, moment, money, number, plural

    took = age(attempt.ended_at - attempt.started_at) if attempt.ended_at and attempt.started_at else None
    gone = attempt.workspace is not None and not Path(attempt.workspace).exists()
    workspace = "removed again: nothing was changed in it" if gone else attempt.workspace
    verdict = (
        "runs" if attempt.ended_at is None else "succeeded" if attempt.succeeded else str(attempt.failure or "stopped")
    )
    facts = {
        "started": moment(attempt.started_at) if attempt.started_at else None,
        "took": took,
        "exit": None if attempt.exit_code is None else str(attempt.exit_code),
        "node": attempt.node and clean_line(attempt.node),
        "pid": str(attempt.pid) if attempt.pid and attempt.ended_at is None else None,
        "reported": attempt.report and clean_line(attempt.report.line),
        "machine": footprint_text(attempt),
        "may take": attempt.limits,
        "session": session_text(attempt),
        "context": context_text(session.context_tokens, session.context_window) if session is not None else None,
        "compacted": compacted_text(session, attempt.id) if session is not None else None,
        "handed on": attempt.handoff and clean_line(attempt.handoff),
        "note": attempt.note and clean_line(attempt.note),
        "workspace": workspace,
        "branch": None if gone else attempt.branch,
        "diff": attempt.diff and f"{plural(attempt.diff.files, 'file')} +{attempt.diff.added} −{attempt.diff.removed}",
        "reason": attempt.reason and clean_line(attempt.reason),
        "said": attempt.result and clean_line(attempt.result)[:200],
        "answer": _answer_file(attempt),
        "unread": f"{attempt.unknown_lines} lines of unknown form" if attempt.unknown_lines else None,
    }
    lines = ["", f"  attempt {attempt.number}  {verdict}"]
    lines += [f"    {name:<9} {value}" for name, value in facts.items() if value]
    for usage in attempt.usage:
        told = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        lines.append(
            f"    {'usage':<9} {usage.model}: {number(told)} in ({number(usage.cache_read_tokens)} cached), "
            f"{number(usage.output_tokens)} out, {money(usage.cost_micros, usage.grade, 4)} {usage.grade}"
        )
    return lines


def _answer_file(attempt: Attempt) -> str | None:
    """Where the whole of a long answer stands."""
    from pathlib import Path

    from engine.agents.llm.lines import ANSWERS

    found = [file for name in ANSWERS if (file := Path(attempt.run_dir) / name).is_file()]
    return f"{found[0]}, {found[0].stat().st_size:,} bytes" if found else None


def logs(
    context: typer.Context,
    job: _Job,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as it is written, until the attempt ends.")
    ] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=1, help="Only the last lines.")] = None,
    attempt: _Attempt = None,
    raw: Annotated[bool, typer.Option("--raw", help="Byte for byte as the agent printed it.")] = False,
    answer: Annotated[bool, typer.Option("--answer", help="Only its last word, whole: the answer of a model.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line: the typed events.")] = False,
) -> None:
    """What an attempt said and did."""
    number = one_id(job)
    if answer:
        _print_answer(ctx.of(context).ask(lambda client: client.answer(number, attempt=attempt)))
    elif raw:
        ctx.of(context).ask(lambda client: _print_raw(client, number, attempt))
    else:
        ctx.of(context).ask(lambda client: print_log(client, number, attempt, tail, follow, json))


def _print_answer(data: bytes) -> None:
    import sys

    from console.cli.output import note
    from console.format import clean

    if not data:
        note("nothing was answered")
    elif sys.stdout.isatty():
        sys.stdout.write(clean(data.decode(errors="replace")) + "\n")
    else:
        sys.stdout.buffer.write(data)


async def _print_raw(client: Client, job: int, attempt: int | None) -> None:
    import sys

    async for data in client.output(job, attempt=attempt):
        sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


async def print_log(client: Client, job: int, attempt: int | None, tail: int | None, follow: bool, json: bool) -> None:
    from console.cli.output import note, print_json_line
    from console.format import clean_line
    from console.transcript import entries

    said = False
    async for line in client.log(job, attempt=attempt, tail=tail, follow=follow):
        said = True
        if json:
            print_json_line(line)
            continue
        for entry in entries(line):
            print("".join(text for text, _ in entry.parts), flush=follow)
    ended = (await client.job(job)).job
    if ended.state == "failed" or not said:
        note(
            f"J{job} {ended.state}: {ended.failure or 'nothing was said'}: {clean_line(ended.reason or '')}".rstrip(
                ": "
            )
        )


def diff(context: typer.Context, job: _Job, attempt: _Attempt = None) -> None:
    """What an attempt changed in its workspace, as a unified diff: headway diff 12 | git apply --index"""
    import sys

    from console.cli.output import note
    from console.format import clean

    patch = ctx.of(context).ask(lambda client: client.patch(one_id(job), attempt=attempt))
    if not patch:
        note("no diff: nothing was changed, or the workspace is not in git")
    elif sys.stdout.isatty():
        # A file's content may hold escape sequences: a pipe gets it as it is, a terminal does not.
        sys.stdout.write(clean(patch.decode(errors="replace")))
    else:
        sys.stdout.buffer.write(patch)


def events(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="Only of this job.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as things happen.")] = False,
    after: Annotated[int | None, typer.Option("--after", metavar="SEQ", help="Only what came after this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="A JSON array; with -f one object a line.")] = False,
) -> None:
    """The engine's log: what happened last, oldest first; with --after, what came then."""
    number = None if job is None else one_id(job)
    if follow:
        ctx.of(context).ask(lambda client: _follow_events(client, after, number, json))
        return
    from console.cli.output import note, print_json

    found = ctx.of(context).ask(lambda client: client.events(after=after, limit=limit, job=number))
    if json:
        print_json(found)
        return
    if not found:
        note("nothing is in the log" + (f" of J{number}" if number is not None else ""))
    for event in found:
        print(_event_line(event))


async def _follow_events(client: Client, after: int | None, job: int | None, json: bool) -> None:
    from console.cli.output import print_json_line
    from engine.events import Event

    async for event in client.follow(after):
        if not isinstance(event, Event) or (job is not None and event.job != job):
            continue
        if json:
            print_json_line(event)
        else:
            print(_event_line(event), flush=True)


def _event_line(event: Event) -> str:
    from console.format import moment
    from console.happenings import kind_of, words_of

    who = f"J{event.job}" if event.job is not None else "-"
    return f"{event.seq:>6}  {moment(event.at)}  {who:<6} {kind_of(event):<10} {words_of(event)}".rstrip()
