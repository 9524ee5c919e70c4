"""`headway notify`: what is told where, what became of it, and how much stayed silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import JSON

if TYPE_CHECKING:
    from engine.notice import ChannelStatus, NotifyStatus

_VERBS = ("status", "test")


def add_to(app: typer.Typer) -> None:
    app.command()(notify)


def notify(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[status | test [CHANNEL]]", help="How each channel stands; or try one now.", show_default=False
        ),
    ] = None,
    json: JSON = False,
) -> None:
    """Notifications: what was sent on each channel, what waits, what failed and why; and how much stayed silent."""
    from engine.documents import nearest
    from engine.errors import UsageError

    match words or ["status"]:
        case ["status"]:
            _status(context, json=json)
        case ["test"]:
            _test(context, None, json=json)
        case ["test", channel]:
            _test(context, channel, json=json)
        case [verb, *_] if verb in _VERBS:
            raise UsageError(f"notify {verb}: see `headway notify --help`")
        case [verb, *_]:
            raise UsageError(f"notify: there is no {verb!r}; {nearest(verb, _VERBS)}")


def _status(context: typer.Context, *, json: bool) -> None:
    from console.cli.output import note, print_json, print_table
    from console.format import moment

    found = ctx.of(context).ask(lambda client: client.notify_status())
    if json:
        print_json(found)
        return
    if not found.channels:
        note("nothing is told anywhere: notify: in headway.yaml says what goes where")
    else:
        heads = ("CHANNEL", "KIND", "SENT", "WAITING", "FAILED", "DROPPED", "LAST", "TELLS", "WHY")
        print_table(heads, [_cells(one) for one in found.channels], stretch=8)
    if found.quiet_until is not None:
        print(f"quiet until {moment(found.quiet_until)}")
    print(silence_line(found))


def _cells(one: ChannelStatus) -> tuple[str, ...]:
    from console.format import age, clean_line
    from engine.clock import now_ms

    now = now_ms()
    why = clean_line(one.why or "-")
    if one.why and one.waiting and one.next_try is not None:
        why += f"; again in {age(max(0, one.next_try - now))}"
    return (
        one.name, one.kind, str(one.sent), str(one.waiting), str(one.failed), str(one.dropped),
        "-" if one.last_sent is None else age(now - one.last_sent), ",".join(one.classes) or "-", why,
    )  # fmt: skip


def silence_line(found: NotifyStatus) -> str:
    """`of 40 finished jobs 38 notified nobody (95.0 %)`."""
    said = found.silence
    if said.share is None:
        return "no job has finished yet"
    return f"of {said.finished:,} finished jobs {said.finished - said.told:,} notified nobody ({said.share:.1%})"


def _test(context: typer.Context, channel: str | None, *, json: bool) -> None:
    from console.cli.output import note, print_json
    from console.format import clean_line

    tried = ctx.of(context).ask(lambda client: client.notify_test(channel))
    if json:
        print_json(tried)
    elif not tried:
        note("nothing is told anywhere: notify: in headway.yaml says what goes where")
    for one in () if json else tried:
        how = f": {clean_line(one.why)}" if one.why else f": sent, as {one.uid[:12]}"
        print(f"{'✓' if one.ok else '✗'} {one.channel}{how}")
    if not all(one.ok for one in tried):
        raise typer.Exit(1)
