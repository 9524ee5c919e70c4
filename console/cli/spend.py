"""`headway spend`, `budgets`: what was used and what it cost, and how much may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.money import Spend, SpendLine

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    for command in (spend, budgets):
        app.command()(command)


def spend(
    context: typer.Context,
    by: Annotated[
        str, typer.Option("--by", metavar="WHAT", help="day, project, account, target, model, kind or job.")
    ] = "day",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="today, 7d, 2026-11-01, all; unset is fourteen days."),
    ] = None,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="Hold the ledger against what the agents keep themselves, day by day.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Against a usage or cost report of a provider, JSON or CSV."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0, metavar="PERCENT", help="Exit 1 past this drift; unset: spend.alarm."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: exact tokens, dollars.")] = False,
    json: _Json = False,
) -> None:
    """What was used and what it cost, running attempts included. Each sum shows how well its worst part is known."""
    if reconcile or export is not None:
        _reconcile(ctx.of(context), since, export, threshold, json=json)
        return
    from console.cli.output import note, print_json, print_table
    from console.money import csv_lines, heads, remarks, row
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.money import By

    if by not in list(By):
        raise UsageError(f"{by!r} is nothing to put sums together by; {nearest(by, list(By))}")
    found = ctx.of(context).ask(lambda client: client.spend(By(by), since))
    if json:
        print_json(found)
    elif csv:
        print("\n".join(csv_lines(found)))
    elif not found.lines:
        note("nothing was used in this time")
    else:
        print_table(heads(found), [row(found, one) for one in _shown(found)], stretch=0)
        for line in remarks(found):
            note(line)


def _reconcile(
    context: ctx.Context, since: str | None, export: Path | None, threshold: float | None, *, json: bool
) -> None:
    from console.cli.output import note, print_json, print_table
    from console.money import DRIFT_HEADS, drift_row
    from engine.errors import UsageError
    from engine.money import Reconcile

    wanted = Reconcile(since=since, threshold=threshold)
    if export is not None:
        from engine.spend import exports

        try:
            text = export.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"{export} cannot be read: {error.strerror}") from None
        found = exports.read(text, str(export))
        whose = exports.provider_of(text)
        wanted = Reconcile(since=since, threshold=threshold, export=found, name=export.name, provider=whose)
    done = context.ask(lambda client: client.reconcile(wanted))
    if json:
        print_json(done)
    elif not done.lines:
        note("there is nothing to compare in this time")
    else:
        print_table(DRIFT_HEADS, [drift_row(one) for one in done.lines], stretch=1)
    if done.missing:
        note(f"of {done.missing} more sessions the agent keeps nothing on this machine")
    if done.over:
        note(f"past the alarm of {done.alarm:g} %")
        raise typer.Exit(1)


def _shown(found: Spend) -> list[SpendLine]:
    return [*found.lines, found.total] if len(found.lines) > 1 else found.lines


def budgets(
    context: typer.Context,
    allow: Annotated[
        str | None, typer.Option("--allow", metavar="SCOPE", help="Let more be spent here, as its card would.")
    ] = None,
    amount: Annotated[
        str | None,
        typer.Option("--amount", metavar="AMOUNT", help="With --allow: $2, 200k tokens; unset is without a cap."),
    ] = None,
    json: _Json = False,
) -> None:
    """How much may be spent where, and how much of it is. Budgets are set in headway.yaml, or by submit --budget."""
    from console.cli.output import note, print_json, print_table
    from console.money import BUDGET_HEADS, budget_row
    from engine.errors import UsageError

    if allow is not None:
        line = ctx.of(context).ask(lambda client: client.allow(allow, amount))
        if json:
            print_json(line)
        else:
            print_table(BUDGET_HEADS, [budget_row(line)], stretch=0)
        return
    if amount is not None:
        raise UsageError("--amount says how much more --allow SCOPE lets be spent")
    found = ctx.of(context).ask(lambda client: client.budgets())
    if json:
        print_json(found)
    elif not found:
        note("no budget yet: budgets: in headway.yaml, or headway submit --budget '$2'")
    else:
        print_table(BUDGET_HEADS, [budget_row(line) for line in found], stretch=0)
