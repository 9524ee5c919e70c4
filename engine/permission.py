"""Whether a tool's use is decided already, by a rule or by who may do anything. Pure: values in, values out.

A rule names a tool and a pattern. The pattern is held against what matters of the use: a shell's command, a file's
path (relative to the workspace where it lies in it), an address. `*` stands for anything and `?` for one character.
In a rule that allows, neither stands for a character by which a shell begins another command or names another place.
`<word>` stands for one name: an argument that is no option, or a part of a path, and leads nowhere else.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config import RuleSettings, Settings
from engine.decision import Choice, Effect, Rule
from engine.errors import RefusedError
from engine.model import Permission
from engine.units import milliseconds

#: What a wildcard of an allowing rule does not cover in a command: with these a shell runs, reads or writes more.
_SHELL = r"[^;&|<>$`()\\\n\r]"
_ANY = r"[\s\S]"
WORD = "<word>"
#: What `<word>` covers: of a command, and of anything else.
_ARGUMENT = r"(?!-)(?!\.\.?(?:\s|$))[^\s/;&|<>$`()\\*?~'\"{}\[\]!#=]+"
_NAME = r"(?!\.\.?(?:/|$))[^/\s]+"


@dataclass(frozen=True, slots=True)
class Use:
    """A tool's use, as far as rules look at it."""

    tool: str
    subject: str
    """The command, the path, the address; empty where nothing of the arguments is known to matter."""
    job: int
    project: str | None = None
    shell: bool = False
    """The subject is a command line."""
    job_kind: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of a request that nobody answers. `timeout` is milliseconds; 0 is for ever."""

    timeout: int = 0
    default: Choice = Choice.DENY

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        return cls(milliseconds(settings.permissions.timeout), Choice(settings.permissions.default))

    def due(self, now: int) -> int | None:
        return now + self.timeout if self.timeout else None


def verdict(use: Use, rules: Iterable[Rule]) -> Rule | None:
    """The rule that decides a use; None where nobody has said anything. One that denies goes before all that allow."""
    fits = [rule for rule in rules if matches(rule, use)]
    return next((rule for rule in fits if rule.effect is Effect.DENY), fits[0] if fits else None)


def matches(rule: Rule, use: Use) -> bool:
    """Whether a rule is about a use."""
    if rule.job is not None and rule.job != use.job:
        return False
    if rule.project is not None and rule.project != use.project:
        return False
    if rule.job_kind is not None and rule.job_kind != use.job_kind:
        return False
    if not _glob(rule.tool, _ANY).fullmatch(use.tool):
        return False
    if rule.pattern == "*":
        return True
    if rule.effect is Effect.ALLOW and rule.pattern == use.subject:
        return True
    wild = _SHELL if rule.effect is Effect.ALLOW and use.shell else _ANY
    word = _ARGUMENT if use.shell else _NAME
    return _glob(rule.pattern, wild, word).fullmatch(use.subject) is not None


def _glob(pattern: str, wild: str, word: str = re.escape(WORD)) -> re.Pattern[str]:
    return re.compile(word.join(_plain(part, wild) for part in pattern.split(WORD)))


def _plain(pattern: str, wild: str) -> str:
    return "".join(f"{wild}*" if c == "*" else wild if c == "?" else re.escape(c) for c in pattern)


def subject_of_path(path: str, workspace: str) -> str:
    """A path as rules see it: without `..`, and relative to the workspace where it lies in it."""
    whole = os.path.normpath(Path(workspace) / path)
    return os.path.relpath(whole, workspace) if whole == workspace or whole.startswith(f"{workspace}/") else whole


def configured(settings: Settings) -> Sequence[Rule]:
    """The rules of headway.yaml."""
    return [_rule(one, settings) for one in settings.permissions.rules]


def _rule(one: RuleSettings, settings: Settings) -> Rule:
    named = settings.projects.get(one.project) if one.project is not None else None
    project = named.directory if named is not None else one.project
    return Rule(tool=one.tool, pattern=one.pattern, effect=one.effect, project=project)


def chosen(asked: Permission | None, agent: str, directory: str | None, settings: Settings) -> Permission:
    """Who decides on the tools of a job: its own word, else its project's, else its agent's, else the preset.

    Raises `RefusedError` for a bypass that the project does not allow: whoever may submit a job could ask for one.
    """
    project = next((one for one in settings.projects.values() if one.directory == directory), None)
    said = (asked, project.permission if project is not None else None, settings.agent(agent).permission)
    found = next((one for one in said if one is not None), Permission.PRESET)
    if found is Permission.BYPASS and (project is None or not project.allow_bypass):
        raise RefusedError(
            "permission: bypass lets the agent do anything on this machine; "
            "headway.yaml has to say so for the project: projects.NAME.allow_bypass: true"
        )
    return found
