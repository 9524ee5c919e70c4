"""Skills as rows and as texts: whose they are, how often they were given and read, how that ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from console.fields import Field
from console.format import age, clean_line, job_name, moment, plural, tokens
from console.meter import meter
from console.roles import Part, Role
from console.telling import fact, heading, lines
from console.transcript import Entry
from engine.skills.skill import Skill
from engine.skills.stats import SkillCount, SkillUse


@dataclass(frozen=True, slots=True)
class SkillRow:
    """A skill as it was found, and what became of those who were given it."""

    skill: Skill
    count: SkillCount | None = None

    @property
    def id(self) -> tuple[str, str]:
        return self.skill.name, self.skill.path

    @property
    def share(self) -> float | None:
        """Of the ended attempts that were given it, those that succeeded."""
        if self.count is None or not self.count.succeeded + self.count.failed:
            return None
        return self.count.succeeded / (self.count.succeeded + self.count.failed)


def sign(row: SkillRow, now: int) -> Part:
    if row.skill.problem is not None:
        return "✗", Role.FAILED
    return ("◔", Role.WAIT) if row.skill.warnings else ("✓", Role.DONE if row.count else Role.MUTED)


FIELDS: tuple[Field[SkillRow], ...] = (
    Field("NAME", 0, lambda row, now: row.skill.name, role=Role.TEXT),
    Field("SOURCE", 8, lambda row, now: str(row.skill.source)),
    Field("GIVEN", 5, lambda row, now: str(row.count.given) if row.count else "-",
          key=lambda row: row.count.given if row.count else 0, to_right=True),
    Field("READ", 5, lambda row, now: str(row.count.used) if row.count else "-",
          key=lambda row: row.count.used if row.count else 0, to_right=True),
    Field("OK", 5, lambda row, now: "-" if row.share is None else f"{row.share:.0%}", key=lambda row: row.share,
          to_right=True, role=Role.TEXT),
    Field("LAST", 6, lambda row, now: age(now - row.count.last_at, 5) if row.count else "-",
          key=lambda row: row.count.last_at if row.count else None, to_right=True),
    Field("TOKENS", 6, lambda row, now: tokens(row.skill.tokens), key=lambda row: row.skill.tokens, to_right=True,
          drop=2),
    Field("TAGS", 20, lambda row, now: ", ".join(row.skill.tags) or "-", drop=3),
    Field("WHAT IT IS FOR", 40, lambda row, now: row.skill.problem or row.skill.description,
          role=lambda row, now: Role.FAILED if row.skill.problem else Role.MUTED, drop=4),
)  # fmt: skip


def use_line(one: SkillUse) -> str:
    """An attempt that was given it: when, how, whether it read it, and how it ended."""
    read = {True: "read", False: "not read", None: "told"}[one.used]
    ended = {True: "succeeded", False: "failed", None: "runs"}[one.succeeded]
    job = f"{job_name(one.job)}.{one.attempt}"
    return f"{moment(one.at)}  {job:<9} {one.how.replace('_', ' '):<9} {read:<9} {ended:<10} {clean_line(one.title)}"


def told(row: SkillRow, now: int) -> list[Entry]:
    """What is known of a skill."""
    skill, count = row.skill, row.count
    found = [Entry(((clean_line(skill.name), Role.HEADING), (f"   {skill.source}", Role.MUTED)))]
    found += [Entry(((clean_line(skill.description), Role.TEXT),), wraps=True)] if skill.description else []
    found += fact("problem", skill.problem, Role.FAILED)
    for warning in skill.warnings:
        found += fact("warning", warning, Role.WAIT)
    found += fact("file", skill.path)
    found += fact(
        "size", f"{plural(skill.files, 'file')}, {tokens(skill.tokens)} tokens, sha256 {skill.sha256[:12] or '-'}"
    )
    found += fact("tags", ", ".join(skill.tags))
    for other in skill.shadows:
        found += fact("instead of", other)
    found += heading("what became of it")
    if count is None:
        return found + lines(["no attempt was given it yet"], Role.MUTED)
    share = row.share
    found += fact("given to", f"{plural(count.given, 'attempt')}, {count.told} of them in the prompt")
    found += fact("read by", f"{count.used}, of whom {count.used_succeeded} succeeded")
    found += fact("ended", f"{count.succeeded} succeeded, {count.failed} failed")
    found += fact("ok", f"{meter(share, 20)} {share:.0%}" if share is not None else None)
    found += fact("left out", f"{plural(count.left_out, 'time')} though chosen" if count.left_out else None)
    found += fact("own", f"{count.own}: the project's or the user's own stood" if count.own else None)
    return found + fact("last", moment(count.last_at))
