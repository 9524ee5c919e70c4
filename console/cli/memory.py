"""`headway memory`: what is remembered, looked at and changed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from console.cli import context as ctx
from console.cli import memory_keeping
from console.cli.memory_desk import ask, moment_of, numbers, scopes_of
from console.cli.verbs import DRY_RUN, JSON, one_id

if TYPE_CHECKING:
    from engine.memory.item import Kind, Standing

Word = TypeVar("Word", bound=StrEnum)

_NUMBERS = Annotated[list[str], typer.Argument(metavar="NR...", help="Numbers, as headway memory list shows them.")]
_Scope = Annotated[
    str, typer.Option("--scope", "-s", metavar="SCOPE", help="global, project:NAME or DIRECTORY, persona:NAME.")
]
_Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", "-s", metavar="SCOPE", help="Only there; several times for several.  [default: all]"),
]
_Query = Annotated[list[str], typer.Argument(metavar="QUERY...", help="What it is about, in words.")]
_Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="At most so many.")]
_Subject = Annotated[
    str | None, typer.Option("--subject", help="What it is about: of two things about one subject, the newer holds.")
]
_Tags = Annotated[list[str] | None, typer.Option("--tag", help="Several times for several.")]
_Importance = Annotated[float | None, typer.Option(min=0, max=1, help="0 to 1.  [default: 0.5]")]
_Expires = Annotated[str | None, typer.Option(metavar="WHEN", help="It holds until then: 30d, 2026-12-31.")]
_VerifyBy = Annotated[
    str | None, typer.Option("--verify-by", metavar="WHEN", help="Somebody should look by then whether it still holds.")
]


def add_to(app: typer.Typer) -> None:
    family = typer.Typer(no_args_is_help=True, help="What is remembered between jobs, and told to them.")
    family.command()(add)
    family.command("remember", hidden=True)(add)
    family.command()(search)
    family.command()(explain)
    family.command("list")(list_)
    family.command()(show)
    family.command()(edit)
    family.command()(verify)
    for command in (contradict, accept, retract, restore):
        family.command()(command)
    family.command()(supersede)
    family.command()(forget)
    memory_keeping.add_to(family)
    app.add_typer(family, name="memory")


def add(
    context: typer.Context,
    text: Annotated[
        list[str], typer.Argument(metavar="TEXT", help="What is to be remembered; - reads standard input.")
    ],
    kind: Annotated[
        str, typer.Option("--kind", "-k", help="fact, decision, preference, procedure, episode, outcome.")
    ] = "fact",
    scope: _Scope = "global",
    subject: _Subject = None,
    tag: _Tags = None,
    importance: _Importance = None,
    expires: _Expires = None,
    verify_by: _VerifyBy = None,
    supersedes: Annotated[
        list[str] | None, typer.Option("--supersedes", metavar="NR", help="What it takes the place of.")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="The job that it comes from.")] = None,
    evidence: Annotated[
        list[str] | None, typer.Option("--evidence", help="Where one can look it up: a file, a commit, a page.")
    ] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Remember something: headway memory add "the API listens on 8443" --scope project:api --subject "api port"

    What is known already is verified by it. What is known about the same subject in the same scope is superseded.
    """
    import sys

    from console.cli.memory_lines import written_line
    from console.cli.output import print_json
    from engine.memory.answers import Remember
    from engine.memory.item import Draft, Kind, Source

    said = sys.stdin.read() if text == ["-"] else " ".join(text)
    source = Source(job=None if job is None else one_id(job), evidence=evidence or [])
    draft = Draft(
        text=_text(said),
        kind=_word("--kind", kind, Kind),
        scope=scopes_of([scope])[0],
        subject=subject,
        tags=tag or [],
        importance=0.5 if importance is None else importance,
        valid_to=moment_of(expires, "--expires"),
        verify_by=moment_of(verify_by, "--verify-by"),
        supersedes=numbers(supersedes or []),
        source=source,
    )
    (done,) = ask(
        ctx.of(context), lambda memory: memory.remember(Remember(drafts=[draft], dry_run=dry_run)), writes=True
    )
    if json:
        print_json(done)
    else:
        print(written_line(done, would=dry_run))


def search(
    context: typer.Context, query: _Query, scope: _Scopes = None, limit: _Limit = 10, json: JSON = False
) -> None:
    """Find what is known, by words and by meaning, the best first."""
    from console.cli.memory_lines import found_lines
    from console.cli.output import note, print_json

    found = ask(ctx.of(context), lambda memory: memory.search(" ".join(query), scopes_of(scope), limit))
    if json:
        print_json(found)
        return
    if not found.parts:
        note("nothing of that is remembered")
    print("\n".join(found_lines(found)), end="\n" if found.parts else "")
    if found.without:
        note(found.without)


def explain(
    context: typer.Context, query: _Query, scope: _Scopes = None, limit: _Limit = 10, json: JSON = False
) -> None:
    """Find what is known, and show every term of each score: why it stands where it stands."""
    from console.cli.memory_lines import TERMS, term_cells
    from console.cli.output import note, print_json, print_table

    found = ask(ctx.of(context), lambda memory: memory.search(" ".join(query), scopes_of(scope), limit))
    if json:
        print_json(found)
        return
    if not found.parts:
        note("nothing of that is remembered")
        return
    rows = [term_cells(one) for one in found.parts]
    print_table(TERMS, rows, stretch=len(TERMS) - 1)
    note(f"score = relevance x modulation x standing; vectors of {found.model or 'nothing: words alone'}")
    if found.without:
        note(found.without)


def list_(
    context: typer.Context,
    scope: _Scopes = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", "-k", help="fact, decision, preference, ...")] = None,
    standing: Annotated[
        list[str] | None, typer.Option("--standing", help="active, proposed, superseded, retracted.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    json: JSON = False,
) -> None:
    """What is remembered, what was changed last first."""
    from console.cli.memory_lines import HEADS, cells
    from console.cli.output import note, print_json, print_table
    from engine.memory.item import Kind, Standing

    kinds: list[Kind] = [_word("--kind", one, Kind) for one in kind or []]
    standings: list[Standing] = [_word("--standing", one, Standing) for one in standing or []]
    found = ask(ctx.of(context), lambda memory: memory.items(scopes_of(scope), kinds, standings, limit))
    if json:
        print_json(found)
    elif not found:
        note('nothing yet: headway memory add "the API listens on 8443" --scope project:.')
    else:
        print_table(HEADS, [cells(one) for one in found], stretch=6)


def show(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="NR", help="A number, as headway memory list shows it.")],
    json: JSON = False,
) -> None:
    """Everything on one thing: where it comes from, whether it holds, which jobs were told it."""
    from console.cli.memory_lines import item_lines
    from console.cli.output import print_json

    found = ask(ctx.of(context), lambda memory: memory.item(numbers([number])[0]))
    if json:
        print_json(found)
    else:
        print("\n".join(item_lines(found)))


def edit(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="NR", help="A number, as headway memory list shows it.")],
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="The new text; - reads standard input. Without it, $EDITOR."),
    ] = None,
    subject: _Subject = None,
    tag: _Tags = None,
    importance: _Importance = None,
    expires: _Expires = None,
    verify_by: _VerifyBy = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Change the text, the subject, the tags, the weight or the dates of something."""
    import sys

    given = {"subject": subject, "tags": tag, "importance": importance}
    given |= {"valid_to": moment_of(expires, "--expires"), "verify_by": moment_of(verify_by, "--verify-by")}
    given = {name: value for name, value in given.items() if value is not None}
    ids = numbers([number])
    if text == "-":
        text = sys.stdin.read()
    elif text is None and not given:
        text = _edited(context, ids[0])
        if text is None:
            return
    if text is not None:
        given["text"] = _text(text)
    _change(context, "edit", ids, json=json, dry_run=dry_run, **given)


def _edited(context: typer.Context, number: int) -> str | None:
    import sys

    import click

    from console.cli.output import note
    from engine.errors import UsageError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            f"there is no terminal for an editor: headway memory edit {number} TEXT, or - for standard input"
        )
    before = ask(ctx.of(context), lambda memory: memory.item(number)).item.text
    text = click.edit(before, extension=".md")
    if text is None or text.strip() == before:
        note("nothing was changed")
        return None
    return text


def verify(
    context: typer.Context, number: _NUMBERS, verify_by: _VerifyBy = None, dry_run: DRY_RUN = False, json: JSON = False
) -> None:
    """You have looked, and it holds. It counts as new again, and is trusted more."""
    by = moment_of(verify_by, "--verify-by")
    _change(context, "verify", numbers(number), json=json, dry_run=dry_run, verify_by=by)


def contradict(context: typer.Context, number: _NUMBERS, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """It does not seem to hold. It is trusted less, and still told; retract what is wrong."""
    _change(context, "contradict", numbers(number), json=json, dry_run=dry_run)


def accept(context: typer.Context, number: _NUMBERS, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Let what was proposed be told from now on."""
    _change(context, "accept", numbers(number), json=json, dry_run=dry_run)


def retract(context: typer.Context, number: _NUMBERS, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """It was wrong. It is kept, and neither found nor told any more; restore brings it back."""
    _change(context, "retract", numbers(number), json=json, dry_run=dry_run)


def restore(context: typer.Context, number: _NUMBERS, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """It holds again: takes back retract and supersede."""
    _change(context, "restore", numbers(number), json=json, dry_run=dry_run)


def supersede(
    context: typer.Context,
    number: _NUMBERS,
    by: Annotated[str, typer.Option("--by", metavar="NR", help="What has taken its place.")] = "",
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Another thing has taken its place. It is found below that, with a mark."""
    from engine.errors import UsageError

    if not by:
        raise UsageError("by what? headway memory supersede 12 --by 34")
    _change(context, "supersede", numbers(number), json=json, dry_run=dry_run, by=numbers([by])[0])


def forget(context: typer.Context, number: _NUMBERS, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Remove things for good: from the table, the indexes, the vectors, the free pages and the journal.

    Nothing brings them back. It says which run directories hold what jobs were told of them.
    """
    from console.cli.memory_lines import forgotten_lines
    from console.cli.output import print_json
    from engine.memory.answers import Forget

    wanted = Forget(ids=numbers(number), dry_run=dry_run)
    done = ask(ctx.of(context), lambda memory: memory.forget(wanted))
    if json:
        print_json(done)
    else:
        print("\n".join(forgotten_lines(done, would=dry_run)))


def _change(context: typer.Context, verb: str, ids: list[int], *, json: bool, dry_run: bool, **given: object) -> None:
    from console.cli.memory_lines import HEADS, cells
    from console.cli.output import print_json, print_table
    from engine.memory.answers import Change, Verb

    wanted = Change(ids=ids, verb=Verb(verb), dry_run=dry_run, **given)  # type: ignore[arg-type]
    done = ask(ctx.of(context), lambda memory: memory.change(wanted))
    if json:
        print_json(done)
    else:
        print_table(HEADS, [cells(one) for one in done], stretch=6)


def _text(said: str) -> str:
    from engine.errors import UsageError
    from engine.memory.item import TEXT_LIMIT

    said = said.strip()
    if not said:
        raise UsageError("there is nothing to remember in an empty text")
    if len(said) > TEXT_LIMIT:
        raise UsageError(f"it has {len(said):,} characters, and {TEXT_LIMIT:,} are remembered of one thing")
    return said


def _word(option: str, word: str, words: type[Word]) -> Word:
    from engine.documents import nearest
    from engine.errors import UsageError

    if word not in list(words):
        raise UsageError(f"{option} {word}: not known; {nearest(word, words)}")
    return words(word)
