"""What each agent is here: its program, its version, its accounts, and whether each is signed in. Spends no token.

Nothing that is told holds a secret: where a key is kept, never the key.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from engine.agents.base import Agent
from engine.agents.llm.providers import Provider, providers
from engine.agents.login_files import read_login
from engine.agents.logins import LOGINS, Login, config_variables
from engine.clock import now_ms
from engine.config import AccountSettings, AgentSettings, KeyReference, Settings
from engine.config.mcp import offered
from engine.documents import nearest
from engine.errors import CredentialError, NotFoundError
from engine.mcp.checkup import trouble
from engine.model import AccountStatus, AgentStatus
from engine.redact import is_secret
from engine.runner import spawn
from engine.runner.credentials import exposed, resolve, sign_in, whole
from engine.runner.run_dir import read_regular

DEFAULT = "-"  #: how an agent's own login is called, beside its named accounts
VERSION_SECONDS = 30.0  #: for a program's --version: some take seconds to start
FILE_BYTES = 1 << 20
CLIENTS = ("anthropic", "openai", "google-genai", "jsonschema", "genai-prices")  #: what the extra `llm` brings


@dataclass(frozen=True, slots=True)
class Warning:
    """Something about keys that is worth knowing."""

    found: str
    mend: str


async def survey(
    settings: Settings,
    agents: Mapping[str, Agent],
    own: Mapping[str, str],
    *,
    name: str | None,
    check: bool,
    home: Path | None = None,
) -> list[AgentStatus]:
    """Every agent, or the one that is named. `own` is the environment that keys are taken from.

    `check` also runs the programs that print a key, and tries the tools that agents are given by the engine of `home`.
    Raises `NotFoundError`.
    """
    if name is not None and name not in agents:
        raise NotFoundError(f"there is no agent {name!r}; {nearest(name, agents)}")
    chosen = [agent for agent in agents.values() if name in (None, agent.name)]
    found = await asyncio.gather(*(_agent(agent, settings, own, check=check) for agent in chosen))
    if not check or home is None:
        return list(found)
    wrong = await trouble(home)
    return [_with_tools(one, agent, settings, wrong) for one, agent in zip(found, chosen, strict=True)]


def _with_tools(status: AgentStatus, agent: Agent, settings: Settings, wrong: str) -> AgentStatus:
    """With what is to be said of Headway's tools. `wrong`: why they do not work."""
    if not agent.takes_tools and not settings.agent(agent.name).mcp:
        return status
    tools = offered(settings, agent.name, None, None)
    if not tools:
        return replace(status, tools="none: headway.yaml says so (mcp)")
    return replace(status, tools=wrong or f"{len(tools)} of Headway's, by MCP", tools_ok=not wrong)


async def _agent(agent: Agent, settings: Settings, own: Mapping[str, str], *, check: bool) -> AgentStatus:
    login, given = LOGINS.get(agent.name, Login()), settings.agent(agent.name)
    named = [(name, one) for name, one in settings.accounts.items() if one.agent == agent.name]
    program, version, problem = await _version(agent.name, login, given, own)
    if agent.name == "llm":
        status = [await _provider(one, own, check=check) for one in providers(given).values()]
    elif login.directory:
        status = [_default(agent, login, given, own)]
    else:
        status = []
    status += [await _account(name, account, login, own, check=check) for name, account in named]
    return AgentStatus(agent=agent.name, program=program, version=version, problem=problem, accounts=status)


async def _version(
    name: str, login: Login, given: AgentSettings, own: Mapping[str, str]
) -> tuple[str, str | None, str]:
    """The program, its version, and why there is none."""
    if name == "llm" and given.command is None:
        return _clients()
    command = given.command or ([login.program] if login.program else [])
    if not command:
        return "built in", "", ""
    if not login.program:
        there = shutil.which(command[0]) is not None
        return command[0], "" if there else None, "" if there else f"{command[0]} is not installed"
    try:
        done = await spawn.run([*command, "--version"], own, within=VERSION_SECONDS)
    except FileNotFoundError:
        return command[0], None, f"{command[0]} is not installed"
    except (OSError, TimeoutError) as error:
        return command[0], None, f"{command[0]} does not start: {error or 'no answer'}"
    said = done.stdout.decode(errors="replace").strip().splitlines()
    if done.code != 0 or not said:
        return command[0], None, f"{command[0]} --version: exit {done.code}"
    return command[0], said[0], ""


def _clients() -> tuple[str, str | None, str]:
    found, missing = [], []
    for package in CLIENTS:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        return "built in", None, f"{', '.join(missing)} missing: pip install 'headway[llm]'"
    return "built in", ", ".join(found[:3]), ""


async def _provider(provider: Provider, own: Mapping[str, str], *, check: bool) -> AccountStatus:
    name = f"{provider.name}/"
    if provider.kept is not None:
        return await _kept(name, provider.kept, own, check=check)
    if own.get(provider.key):
        return AccountStatus(name=name, ok=True, found=f"a key in {provider.key}")
    if not provider.key_needed:
        return AccountStatus(name=name, ok=True, found=f"needs no key: {provider.base_url}")
    return AccountStatus(name=name, ok=None, found="no key", mend=f"export {provider.key} to the engine")


def _default(agent: Agent, login: Login, given: AgentSettings, own: Mapping[str, str]) -> AccountStatus:
    """What an attempt without an account is paid by."""
    passed = {name: own[name] for name in (*agent.pass_env, *given.pass_env) if own.get(name)}
    env = {**passed, **given.env}
    if keys := [name for name in login.credentials if env.get(name) and is_secret(name)]:
        return AccountStatus(name=DEFAULT, ok=True, found=f"a key in {', '.join(keys)}")
    return _folder(DEFAULT, agent.name, login, env, own, sign_in_line=login.sign_in)


async def _account(
    name: str, account: AccountSettings, login: Login, own: Mapping[str, str], *, check: bool
) -> AccountStatus:
    if account.key is not None:
        return await _kept(name, account.key, own, check=check)
    if account.config_dir is not None:
        try:
            env = config_variables(account, str(whole(account.config_dir)))
        except CredentialError as error:
            return AccountStatus(name=name, ok=False, found=error.message)
        found = _folder(name, account.agent, login, env, own, sign_in_line=sign_in(account))
        return found if found.ok is not None else AccountStatus(name=name, ok=False, found=found.found, mend=found.mend)
    missing = [one for one in account.pass_env if not own.get(one)]
    if missing:
        mend = f"export {missing[0]} to the engine"
        return AccountStatus(name=name, ok=False, found=f"{missing[0]} is not set", mend=mend)
    return AccountStatus(name=name, ok=True, found=f"variables: {', '.join((*account.env, *account.pass_env))}")


def _folder(
    name: str, agent: str, login: Login, env: Mapping[str, str], own: Mapping[str, str], *, sign_in_line: str
) -> AccountStatus:
    root = env.get(login.root) or own.get(login.root) or str(Path(own.get("HOME") or "/") / login.default)
    path = Path(root) / login.file
    data = read_regular(path, FILE_BYTES)
    if data is None:
        found = f"no login in {path}" if Path(root).is_dir() else f"{root} is not there"
        return AccountStatus(name=name, ok=None, found=found, mend=f"sign in: {sign_in_line}")
    told = read_login(agent, data, now_ms())
    mend = (exposed(path) or "") if told.ok else f"sign in again: {sign_in_line}"
    return AccountStatus(name=name, ok=told.ok, found=f"{told.found} in {path}", mend=mend, expires_at=told.expires_at)


async def _kept(name: str, reference: KeyReference, own: Mapping[str, str], *, check: bool) -> AccountStatus:
    """A key by reference. A program that prints it is only run where that is asked for: it may want a person."""
    if reference.command is not None and not check:
        found = f"a key from the command {Path(reference.command[0]).name}, not asked: headway agents check"
        return AccountStatus(name=name, ok=True, found=found)
    try:
        await resolve(reference, own)
    except CredentialError as error:
        return AccountStatus(name=name, ok=False, found=error.message, mend="put it there, or name another place")
    path = whole(reference.file) if reference.file is not None else None
    if path is not None:
        return AccountStatus(name=name, ok=True, found=f"a key in {path}", mend=exposed(path) or "")
    if reference.env is not None:
        return AccountStatus(name=name, ok=True, found=f"a key in {reference.env}")
    return AccountStatus(
        name=name, ok=True, found=f"a key from the command {Path((reference.command or [''])[0]).name}"
    )


def warnings(settings: Settings, file: Path | None) -> Iterator[Warning]:
    """Keys that stand where they should not: in headway.yaml, or in files that others can read."""
    places = [(f"agents.{name}.env", one.env) for name, one in settings.agents.items()]
    places += [(f"accounts.{name}.env", one.env) for name, one in settings.accounts.items()]
    for place, env in places:
        for name in env:
            if _literal(name, env[name]):
                yield Warning(
                    f"{place}.{name} looks like a key, in plain text in {file or 'headway.yaml'}",
                    "keep it in a file or a variable, and name that: accounts.NAME.key: {file: PATH}",
                )
    references = [one.key for one in settings.accounts.values()]
    references += [asked.key for one in settings.agents.values() for asked in one.providers.values()]
    for reference in references:
        if reference is not None and reference.file is not None:
            path = Path(os.path.expanduser(reference.file))  # noqa: PTH111 - it leaves an unknown user's as it is
            if complaint := exposed(path):
                yield Warning(f"the key in {complaint.partition(':')[0]}", f"chmod 600 {path}")


#: How keys begin that their makers mark as such: Anthropic, OpenAI and those after it, Google, GitHub, GitLab, Slack,
#: Hugging Face, AWS.
_BEGINNINGS = ("sk-", "AIza", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "hf_", "AKIA", "Bearer ")


def _literal(name: str, value: str) -> bool:
    """What might be a key; one for certain is refused where the settings are read."""
    return len(value) >= 16 and (is_secret(name) or value.startswith(_BEGINNINGS))
