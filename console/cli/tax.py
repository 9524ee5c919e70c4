"""`headway tax`: what of all that was spent went into retries, into what came to nothing, and into hand-offs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.model.tax import Spent, Tax


def add_to(app: typer.Typer) -> None:
    app.command()(tax)


def tax(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="today, 7d, 2026-11-01, all; unset is fourteen days."),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Of one project alone: its name, or its directory.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The autonomy tax: tokens, money and time that did no work, by what became of them, failure, day and project."""
    from console.cli.output import note, print_json

    found = ctx.of(context).ask(lambda client: client.tax(since, project))
    if json:
        print_json(found)
        return
    if not found.all.attempts:
        note("nothing was spent in this time")
        return
    _print(found)


def _print(found: Tax) -> None:
    from console.cli.output import note, print_table
    from console.format import age, clean_line, moment

    print(f"since {moment(found.since)}\n")
    rows = [("all", found.all), ("useful", found.useful), ("tax", found.tax)]
    rows += [(f"  {str(part).replace('_', '-')}", one) for part, one in found.parts.items()]
    print_table(
        ("", "ATTEMPTS", "TOKENS", "SHARE", "MONEY", "SHARE", "TIME", "SHARE"),
        [(name, *_cells(one, found.all)) for name, one in rows],
        stretch=0,
    )
    if found.failures:
        print()
        heads = ("FAILURE", "ENDED SO", "IN VAIN", "TOKENS", "MONEY", "TIME", "THEN WAITED")
        tolls = [
            (
                str(one.failure or "none: cancelled"), f"{one.attempts:,}", f"{one.vain.attempts:,}",
                _tokens(one.vain), _money(one.vain), age(one.vain.ms), age(one.waited_ms),
            )
            for one in found.failures
        ]  # fmt: skip
        print_table(heads, tolls, stretch=0)
    for head, slices in (("DAY", found.days), ("PROJECT", found.projects)):
        if len(slices) > 1:
            print()
            print_table(
                (head, "ATTEMPTS", "TOKENS", "TAX", "MONEY", "TAX", "TIME", "TAX"),
                [
                    (
                        clean_line(one.name) or "-", f"{one.all.attempts:,}",
                        _tokens(one.all), _share(one.tax.tokens, one.all.tokens),
                        _money(one.all), _share(one.tax.cost_micros, one.all.cost_micros),
                        age(one.all.ms), _share(one.tax.ms, one.all.ms),
                    )
                    for one in slices
                ],
                stretch=0,
            )  # fmt: skip
    if found.pruned is not None:
        note(f"beside it, {found.pruned.attempts:,} attempts of pruned jobs: {_money(found.pruned)}, not told apart")


def _cells(one: Spent, whole: Spent) -> tuple[str, ...]:
    from console.format import age

    return (
        f"{one.attempts:,}", _tokens(one), _share(one.tokens, whole.tokens),
        _money(one), _share(one.cost_micros, whole.cost_micros), age(one.ms), _share(one.ms, whole.ms),
    )  # fmt: skip


def _tokens(one: Spent) -> str:
    from console.format import number

    return number(one.tokens)


def _money(one: Spent) -> str:
    from console.format import money

    return "-" if one.cost_micros is None else money(one.cost_micros, one.grade)


def _share(part: int | None, whole: int | None) -> str:
    return f"{(part or 0) / whole:.0%}" if whole else "-"
