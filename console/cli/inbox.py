"""`headway inbox`, `answer`: what waits for the operator, and what he says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON

if TYPE_CHECKING:
    from engine.decision import Card


_SNOOZE, _BACK = "snooze", "back"


def add_to(app: typer.Typer) -> None:
    for command in (inbox, answer):
        app.command()(command)


def inbox(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CARD | snooze CARD... WHEN | back CARD...]",
            help="Everything on one card; or put cards aside (30m, 2h, a time), or take them up again.",
            show_default=False,
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="The newest cards, answered ones too.")] = False,
    snoozed: Annotated[bool, typer.Option("--snoozed", help="Those too that you have put aside.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="With --all: at most so many.")] = 50,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """What waits for you, the oldest first: permissions, questions, choices, approvals, each with its default."""
    from console.cli.output import note, print_json, print_table

    if words and words[0] in (_SNOOZE, _BACK):
        _put_aside(context, words[0], words[1:], dry_run=dry_run, json=json)
        return
    if words:
        _show_card(context, words, json=json)
        return
    found = ctx.of(context).ask(lambda client: client.inbox(limit if all_ else None, snoozed=snoozed))
    if json:
        print_json(found)
    elif not found:
        note("nothing waits for you" if not all_ else "no agent has asked anything yet")
    else:
        print_table(("CARD", "KIND", "JOB", "AGE", "STANDS", "TOOL", "ASKS"), [_cells(one) for one in found], stretch=6)


def _show_card(context: typer.Context, words: list[str], *, json: bool) -> None:
    from console.cards import card_lines, foreseen_lines
    from console.cli.output import print_json
    from engine.clock import now_ms
    from engine.errors import UsageError

    if len(words) > 1:
        raise UsageError(f"inbox shows one card at a time; `headway inbox {words[0]}`")
    number = number_of(words[0], "card")
    one = ctx.of(context).ask(lambda client: client.card(number))
    if json:
        print_json(one)
        return
    print("\n".join(card_lines(one, now_ms())))
    if one.open:
        foreseen = ctx.of(context).ask(lambda client: client.outlooks(number))
        print("\n".join(["", "  what follows", *(f"    {line}" for line in foreseen_lines(foreseen, now_ms()))]))


def _put_aside(context: typer.Context, verb: str, words: list[str], *, dry_run: bool, json: bool) -> None:
    from console.cards import snoozed_line
    from console.cli.output import print_json
    from engine.clock import now_ms
    from engine.decision import SnoozeCards
    from engine.errors import UsageError

    until = words.pop() if verb == _SNOOZE and words else None
    if not words or (until is not None and until.lstrip("#").isdecimal()):
        raise UsageError("the time comes last: headway inbox snooze 3 2h" if verb == _SNOOZE else "say which card")
    wanted = SnoozeCards(cards=[number_of(word, "card") for word in words], until=until, dry_run=dry_run)
    done = ctx.of(context).ask(lambda client: client.snooze_cards(wanted))
    if json:
        print_json(done)
    else:
        print(("would: " if dry_run else "") + snoozed_line(done, now_ms()))


def _cells(card: Card) -> tuple[str, ...]:
    from console.cards import stands
    from console.format import age, clean_line, job_name
    from engine.clock import now_ms

    now = now_ms()
    return (
        str(card.id), card.kind, job_name(card.job), age(now - card.at), stands(card, now), clean_line(card.tool),
        clean_line(card.summary),
    )  # fmt: skip


def answer(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="CARD... CHOICE",
            help="The numbers of one or more cards, then: allow (once), job (for this job), rule (from now on), deny; "
            "answer for a question; reroute, wait or stop for a route; run, edit or cancel for a vague job; more, "
            "uncapped or stop for a budget that is used up; accept or dismiss for a proposed rule; "
            "back, retry, drop or leave for a merge; approve, back or cancel for a plan; approve, back, retry or stop "
            "for what a step found; done, back, reroute or stop for work that its gate refuses.",
        ),
    ],
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason",
            "-r",
            help="What the agent is told: why not, or the answer. With reroute: the target; with edit: more words.",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule", metavar="PATTERN", help="What else is decided so: 'git push *'. With job, rule or deny."
        ),
    ] = None,
    amount: Annotated[
        str | None, typer.Option("--amount", metavar="AMOUNT", help="With more: how much: $2, 200k tokens.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="The rule holds in every project.")] = False,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="SPAN", help="So long the rule holds: 7d; never.")
    ] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Answer what waits for you: headway answer 3 allow, or several alike: headway answer 3 4 5 deny. All or none."""
    from console.cards import answered_line, outlook_lines
    from console.cli.output import print_json
    from engine.clock import now_ms
    from engine.decision import REASON_LIMIT, Choice, Reply
    from engine.documents import nearest
    from engine.errors import UsageError

    *cards, choice = words
    if not cards:
        raise UsageError("say which card, and then the answer: headway answer 3 allow")
    numbers = [number_of(card, "card") for card in cards]
    offered = [one for one in Choice if one is not Choice.WITHDRAWN]
    if choice not in offered:
        raise UsageError(f"{choice!r} is no answer; {nearest(choice, offered)}")
    if reason is not None and len(reason) > REASON_LIMIT:
        raise UsageError(f"the reason is longer than {REASON_LIMIT:,} characters")
    reply = Reply(
        choice=Choice(choice), reason=reason, pattern=rule, amount=amount, everywhere=everywhere, expires=expires,
        dry_run=dry_run,
    )  # fmt: skip
    done = ctx.of(context).ask(lambda client: client.reply_all(numbers, reply))
    if json:
        print_json(done[0] if len(numbers) == 1 else done)
        return
    for one in done:
        print(("would: " if dry_run else "") + answered_line(one))
        if dry_run and one.outlook is not None:
            print("\n".join(f"  {line}" for line in outlook_lines(one.outlook, now_ms())))


def number_of(word: str, what: str) -> int:
    from engine.errors import UsageError

    digits = word.lstrip("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        lists = "rules" if what == "rule" else "inbox"
        raise UsageError(f"{word!r} is no {what}'s number; `headway {lists}` lists them")
    return int(digits)
