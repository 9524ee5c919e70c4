"""`headway rules`: the standing answers, and those that like answers suggest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.inbox import number_of
from console.cli.verbs import DRY_RUN, JSON, place_of

if TYPE_CHECKING:
    from engine.decision import Proposal, Rule

_VERBS = ("list", "show", "add", "remove", "propose", "accept", "dismiss")


def add_to(app: typer.Typer) -> None:
    app.command()(rules)


def rules(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[list | show N | add TOOL [PATTERN] | remove N | propose | accept P... | dismiss P...]",
            help="N: a rule's number; P: that of a proposal. propose looks at all that was answered.",
            show_default=False,
        ),
    ] = None,
    deny: Annotated[bool, typer.Option("--deny", help="With add: it refuses, where it would allow.")] = False,
    project: Annotated[
        str | None, typer.Option(help="With add: only in this project: its name, or its directory.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="With add: only in jobs of this kind.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="SPAN", help="With add and accept: so long it holds: 7d; never.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="With propose: what was dismissed, too.")] = False,
    remove: Annotated[int | None, typer.Option("--remove", metavar="N", help="As remove N.")] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """The standing answers, where each holds, until when, and how often it has decided. `undo` takes changes back.

    After like answers Headway proposes a rule, never wider than what it has seen: `accept` keeps it.
    """
    from engine.documents import nearest
    from engine.errors import UsageError

    verb, *rest = words or ["list"]
    if remove is not None:
        verb, rest = "remove", [str(remove)]
    match verb, rest:
        case "list", []:
            _list(context, json=json)
        case "show", [number]:
            _show(context, number_of(number, "rule"), json=json)
        case "remove", [number]:
            _remove(context, number_of(number, "rule"), json=json)
        case "add", [tool, *pattern] if len(pattern) < 2:
            _add(context, tool, "".join(pattern) or "*", deny, project, kind, expires, dry_run=dry_run, json=json)
        case "propose", []:
            _propose(context, again=again, json=json)
        case "accept" | "dismiss", [_, *_]:
            _decide(context, verb, rest, expires, dry_run=dry_run, json=json)
        case _ if verb in _VERBS:
            raise UsageError(f"rules {verb}: see `headway rules --help`")
        case _:
            raise UsageError(f"rules: there is no {verb!r}; {nearest(verb, _VERBS)}")


def _list(context: typer.Context, *, json: bool) -> None:
    from console.cli.output import note, print_json, print_table

    found = ctx.of(context).ask(lambda client: client.rules())
    if json:
        print_json(found)
        return
    open_ = ctx.of(context).ask(lambda client: client.proposals())
    if not found and not open_:
        note("no rule yet: headway answer CARD rule --rule 'git push *', or permissions: rules: in headway.yaml")
    if found:
        heads = ("RULE", "SAYS", "TOOL", "WHERE", "USES", "ENDS", "BY", "PATTERN")
        print_table(heads, [_cells(one) for one in found], stretch=7)
    if open_:
        print(("\n" if found else "") + "proposed, after like answers (headway rules accept P, dismiss P):")
        for one in open_:
            print(f"  P{one.id}  {_proposed(one)}")


def _cells(rule: Rule) -> tuple[str, ...]:
    from console.cards import rule_says, where
    from console.format import age, clean_line
    from engine.clock import now_ms

    ends = "never" if rule.expires_at is None else f"in {age(max(0, rule.expires_at - now_ms()))}"
    return (
        str(rule.id or "-"), rule_says(rule), clean_line(rule.tool), where(rule), str(rule.uses) if rule.id else "-",
        ends, rule.by, clean_line(rule.pattern),
    )  # fmt: skip


def _proposed(one: Proposal) -> str:
    from console.cards import past_line, rule_line

    return f"{rule_line(one.rule)}; {past_line(one.past)}"


def _show(context: typer.Context, number: int, *, json: bool) -> None:
    from console.cards import past_line, rule_line
    from console.cli.output import print_json
    from console.format import clean_line, job_name, moment

    found = ctx.of(context).ask(lambda client: client.rule(number))
    if json:
        print_json(found)
        return
    print(f"rule {number}: {rule_line(found.rule)}; by {found.rule.by}")
    print(f"  of what was asked in the last months: {past_line(found.past)}")
    print(f"  used {found.rule.uses} times" + (f", last {moment(found.rule.used_at)}" if found.rule.used_at else ""))
    for card in found.used_on:
        print(f"  card {card.id}  {job_name(card.job)}  {clean_line(card.summary)}")


def _remove(context: typer.Context, number: int, *, json: bool) -> None:
    from console.cards import rule_line
    from console.cli.output import print_json

    dropped = ctx.of(context).ask(lambda client: client.drop_rule(number))
    if json:
        print_json(dropped)
    else:
        print(f"holds no more: {rule_line(dropped)}")


def _add(
    context: typer.Context, tool: str, pattern: str, deny: bool, project: str | None, kind: str | None,
    expires: str | None, *, dry_run: bool, json: bool,
) -> None:  # fmt: skip
    from console.cards import past_line, rule_line
    from console.cli.output import print_json
    from engine.decision import Effect, NewRule

    wanted = NewRule(
        tool=tool,
        pattern=pattern,
        effect=Effect.DENY if deny else Effect.ALLOW,
        project=place_of(project),
        job_kind=kind,
        expires=expires,
        dry_run=dry_run,
    )
    made = ctx.of(context).ask(lambda client: client.add_rule(wanted))
    if json:
        print_json(made)
        return
    print(f"{'would hold' if dry_run else f'rule {made.rule.id} holds'}: {rule_line(made.rule)}")
    print(f"  of what was asked in the last months: {past_line(made.past)}")


def _propose(context: typer.Context, *, again: bool, json: bool) -> None:
    from console.cli.output import note, print_json

    found = ctx.of(context).ask(lambda client: client.propose(again=again))
    if json:
        print_json(found)
    elif not found:
        note("no answers were alike often enough, or a rule says them already")
    for one in () if json else found:
        print(f"P{one.id}  {_proposed(one)}")


def _decide(
    context: typer.Context, verb: str, words: list[str], expires: str | None, *, dry_run: bool, json: bool
) -> None:  # fmt: skip
    from console.cards import answered_line
    from console.cli.output import print_json
    from engine.decision import Choice, Reply
    from engine.errors import NotFoundError

    wanted = [number_of(word.upper().removeprefix("P"), "rule") for word in words]
    open_ = {one.id: one.card for one in ctx.of(context).ask(lambda client: client.proposals())}
    missing = [number for number in wanted if open_.get(number) is None]
    if missing:
        raise NotFoundError(f"there is no open proposal {missing[0]}; `headway rules` lists them")
    cards = [card for number in wanted if (card := open_[number]) is not None]
    reply = Reply(choice=Choice(verb), expires=expires, dry_run=dry_run)
    done = ctx.of(context).ask(lambda client: client.reply_all(cards, reply))
    if json:
        print_json(done)
        return
    for one in done:
        print(("would: " if dry_run else "") + answered_line(one))
