"""`headway triage`: which class a job is of, why, and your own word on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON, place_of

if TYPE_CHECKING:
    from engine.model import Corrected, RuleLine, Triage, TriageAnswer

NONE = "none"  #: how no class is written


def add_to(app: typer.Typer) -> None:
    app.command()(triage)


def triage(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="A job id, such as 12 or J12.")] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="What a job with this prompt would be. - reads it.")
    ] = None,
    set_: Annotated[
        str | None,
        typer.Option("--set", metavar="CLASS", help="Your word: quick, big, clarify, defer, or none. It counts."),
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="All rules, and what corrections made of them.")] = False,
    project: Annotated[
        str | None, typer.Option(help="With --prompt and --rules: a project's name, or its directory.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="With --prompt: its kind.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="With --prompt: a tag; may be repeated.")] = None,
    agent: Annotated[str | None, typer.Option(help="With --prompt: its agent.")] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Which class a job is of (quick, big, clarify, defer), which rules said so, and where that leads.

    The rules look at the prompt, the kind, the tags and what its kind has taken before. --set corrects a class: `undo`
    takes that back.
    """
    import sys

    from console.cli.output import print_json
    from console.cli.verbs import one_id
    from engine.errors import UsageError
    from engine.model import TriageRequest

    if sum((job is not None, prompt is not None, rules)) != 1:
        raise UsageError("give one of them: a job, --prompt TEXT, or --rules")
    if set_ is not None and job is None:
        raise UsageError("--set is about a job: headway triage 12 --set big")
    asker = ctx.of(context)
    place = place_of(project)
    if rules:
        listed = asker.ask(lambda client: client.triage_rules(place))
        print_json(listed) if json else _print_rules(listed)
    elif set_ is not None:
        number, said = one_id(job or ""), _class(set_)
        done = asker.ask(lambda client: client.correct(number, said, dry_run=dry_run))
        print_json(done) if json else print(("would: " if dry_run else "") + _corrected(done))
    else:
        if job is not None:
            number = one_id(job)
            found = asker.ask(lambda client: client.triage(number))
        else:
            text = sys.stdin.read() if prompt == "-" else prompt or ""
            if not text.strip():
                raise UsageError("the prompt is empty")
            asked = TriageRequest(prompt=text, project=place, kind=kind, tags=tag or [], agent=agent)
            found = asker.ask(lambda client: client.think(asked))
        print_json(found) if json else print("\n".join(_lines(found)))


def _class(word: str) -> Triage | None:
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.model import Triage

    if word == NONE:
        return None
    if word not in set(Triage):
        raise UsageError(f"--set: there is no class {word!r}; {nearest(word, [*Triage, NONE])}")
    return Triage(word)


def _lines(found: TriageAnswer) -> list[str]:
    from console.format import clean_line

    name = f"J{found.job}  " if found.job is not None else ""
    said = found.judgement
    lines = [f"{name}{found.triage or NONE}  (by {clean_line(found.by)})"]
    lines += [f"  {one.weight:>5.2f}  {one.triage:<8} {one.rule:<15} {clean_line(one.why)}" for one in said.fired]
    if not said.fired:
        lines.append("         no rule has anything to say")
    scores = ", ".join(f"{name} {score:.2f}" for name, score in said.scores.items())
    if scores:
        lines.append(f"  sums   {scores}; 2.00 makes a class, where no other is within 0.50")
    if said.triage != found.triage:
        lines.append(f"  now    the rules would say {said.triage or NONE}")
    route = f" by the route {clean_line(found.route)}: {clean_line(found.routed)}" if found.route else ""
    lines.append(f"  runs   on {clean_line(found.target)}{route}")
    lines += [f"  then   {one}" for one in found.follows]
    return lines


def _corrected(done: Corrected) -> str:
    said = [f"J{done.job} is {done.triage or NONE}, and was {done.was or NONE}"]
    said.append(f"it runs on {done.target}")
    if done.agreed:
        said.append(f"weigh more from now on: {', '.join(done.agreed)}")
    if done.contradicted:
        said.append(f"weigh less: {', '.join(done.contradicted)}")
    return "; ".join(said)


def _print_rules(listed: list[RuleLine]) -> None:
    from console.cli.output import print_table

    rows = [
        (one.rule, one.triage, f"{one.weight:.2f}", str(one.agreed), str(one.contradicted), f"{one.now:.2f}", one.about)
        for one in listed
    ]
    print_table(("RULE", "CLASS", "BEGAN", "RIGHT", "WRONG", "NOW", "LOOKS FOR"), rows, stretch=6)
