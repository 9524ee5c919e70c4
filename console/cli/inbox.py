"""`headway inbox`, `answer`, `rules`: what agents ask, and what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON

if TYPE_CHECKING:
    from engine.decision import Card, Rule


def add_to(app: typer.Typer) -> None:
    for command in (inbox, answer, rules):
        app.command()(command)


def inbox(
    context: typer.Context,
    card: Annotated[str | None, typer.Argument(metavar="[CARD]", help="Everything on one card.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="The newest cards, answered ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="With --all: at most so many.")] = 50,
    json: JSON = False,
) -> None:
    """What agents ask and wait for: permissions and questions, the oldest first."""
    from console.cards import card_lines
    from console.cli.output import note, print_json, print_table
    from engine.clock import now_ms

    if card is not None:
        one = ctx.of(context).ask(lambda client: client.card(_number(card, "card")))
        if json:
            print_json(one)
        else:
            print("\n".join(card_lines(one, now_ms())))
        return
    found = ctx.of(context).ask(lambda client: client.inbox(limit if all_ else None))
    if json:
        print_json(found)
    elif not found:
        note("nothing waits for you" if not all_ else "no agent has asked anything yet")
    else:
        print_table(("CARD", "KIND", "JOB", "AGE", "STANDS", "TOOL", "ASKS"), [_cells(one) for one in found], stretch=6)


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
    card: Annotated[str, typer.Argument(metavar="CARD", help="Its number, as headway inbox shows it.")],
    choice: Annotated[
        str,
        typer.Argument(
            metavar="CHOICE",
            help="allow (once), job (for this job), rule (from now on), deny; answer for a question; "
            "reroute, wait or stop for a route; run, edit or cancel for a vague job; more, uncapped or stop for a "
            "budget that is used up.",
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
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Answer what an agent asks: headway answer 3 allow. It waits, without using tokens, until then."""
    from console.cards import answered_line
    from console.cli.output import print_json
    from engine.decision import REASON_LIMIT, Choice, Reply
    from engine.documents import nearest
    from engine.errors import UsageError

    number = _number(card, "card")
    offered = [one for one in Choice if one is not Choice.WITHDRAWN]
    if choice not in offered:
        raise UsageError(f"{choice!r} is no answer; {nearest(choice, offered)}")
    if reason is not None and len(reason) > REASON_LIMIT:
        raise UsageError(f"the reason is longer than {REASON_LIMIT:,} characters")
    reply = Reply(
        choice=Choice(choice), reason=reason, pattern=rule, amount=amount, everywhere=everywhere, dry_run=dry_run
    )
    done = ctx.of(context).ask(lambda client: client.reply(number, reply))
    if json:
        print_json(done)
    else:
        print(("would: " if dry_run else "") + answered_line(done))


def rules(
    context: typer.Context,
    remove: Annotated[int | None, typer.Option("--remove", metavar="N", help="Take this rule back.")] = None,
    json: JSON = False,
) -> None:
    """The standing answers to what agents ask. `headway undo` takes one back too, while it is the newest action."""
    from console.cards import rule_line
    from console.cli.output import note, print_json, print_table

    if remove is not None:
        dropped = ctx.of(context).ask(lambda client: client.drop_rule(remove))
        if json:
            print_json(dropped)
        else:
            print(f"holds no more: {rule_line(dropped)}")
        return
    found = ctx.of(context).ask(lambda client: client.rules())
    if json:
        print_json(found)
    elif not found:
        note("no rule yet: headway answer CARD rule --rule 'git push *', or permissions: rules: in headway.yaml")
    else:
        heads = ("RULE", "SAYS", "TOOL", "WHERE", "USES", "BY", "PATTERN")
        print_table(heads, [_rule_cells(one) for one in found], stretch=6)


def _rule_cells(rule: Rule) -> tuple[str, ...]:
    from console.cards import where
    from console.format import clean_line

    return (
        str(rule.id or "-"), rule.effect, clean_line(rule.tool), where(rule), str(rule.uses) if rule.id else "-",
        rule.by, clean_line(rule.pattern),
    )  # fmt: skip


def _number(word: str, what: str) -> int:
    from engine.errors import UsageError

    digits = word.lstrip("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise UsageError(f"{word!r} is no {what}'s number; `headway inbox` lists them")
    return int(digits)
