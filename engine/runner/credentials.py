"""From a reference to the key itself, at the last moment before an attempt starts: into its environment alone."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.agents.base import Launch
from engine.agents.logins import LOGINS, Login, config_variables
from engine.config import AccountSettings, KeyReference, Settings
from engine.errors import CredentialError
from engine.runner import spawn
from engine.runner.run_dir import open_regular

COMMAND_SECONDS = 30.0  #: for a password manager, which may have to be unlocked
KEY_BYTES = 1 << 16  #: a longer file holds something else


@dataclass(frozen=True, slots=True)
class Held:
    """The credentials of one attempt."""

    env: Mapping[str, str] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()
    """Names that the attempt may have from nobody else."""

    secrets: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Held({sorted(self.env)})"


async def held(agent: str, launch: Launch, account: AccountSettings | None, own: Mapping[str, str]) -> Held:
    """What an attempt gets and what is withheld from it. `own` is the engine's environment.

    Raises `CredentialError` for a key that is not where it should be.
    """
    login = LOGINS.get(agent, Login())
    keys, folder, withheld = {}, {}, set()
    if account is None or account.key is None:
        keys = {variable: await resolve(reference, own) for variable, reference in launch.keys.items()}
    if account is not None and account.config_dir is not None:
        folder, withheld = _folder(account), set(login.credentials)
    if account is not None and account.key is not None:
        variable = launch.key_variable or account.key.variable or login.key or ""
        keys, withheld = {variable: await resolve(account.key, own)}, {*login.credentials, *launch.keys}
    return Held({**folder, **keys}, frozenset(withheld), frozenset(keys.values()))


def _folder(account: AccountSettings) -> dict[str, str]:
    """What points an agent to its account's folder."""
    directory = whole(account.config_dir or "")
    if not directory.is_dir():
        raise CredentialError(f"the account's folder {directory} is not there; sign in first: {sign_in(account)}")
    return config_variables(account, str(directory))


def sign_in(account: AccountSettings) -> str:
    """The line by which a person signs in to an account's own folder."""
    login = LOGINS.get(account.agent, Login())
    if account.config_dir is None or not login.sign_in:
        return login.sign_in
    variables = config_variables(account, account.config_dir)
    return " ".join([*(f"{name}={value}" for name, value in variables.items()), login.sign_in])


async def resolve(reference: KeyReference, own: Mapping[str, str]) -> str:
    """The key. Raises `CredentialError`, which never quotes what was found."""
    if reference.env is not None:
        return _checked(own.get(reference.env, ""), f"the variable {reference.env} of the engine's environment")
    if reference.file is not None:
        path = whole(reference.file)
        return _checked(_read(path), f"the file {path}")
    command = reference.command or [""]
    named = f"the command {Path(command[0]).name}"
    try:
        done = await spawn.run(command, own, within=COMMAND_SECONDS)
    except OSError as error:
        raise CredentialError(f"{named} for a key does not start: {error.strerror}") from None
    except TimeoutError:
        raise CredentialError(f"{named} for a key gave no answer in {COMMAND_SECONDS:.0f} s") from None
    if done.code != 0:
        raise CredentialError(f"{named} for a key failed: exit {done.code}")
    return _checked(done.stdout.decode(errors="replace"), f"what {named} printed")


async def references(settings: Settings, own: Mapping[str, str]) -> set[str]:
    """The keys that the settings refer to, as far as nobody has to be asked for them: not those that a program prints.

    An attempt that ended while no engine ran may have printed one.
    """
    named = [one.key for one in settings.accounts.values()]
    named += [asked.key for one in settings.agents.values() for asked in one.providers.values()]
    found = set()
    for reference in named:
        if reference is not None and reference.command is None:
            with contextlib.suppress(CredentialError):
                found.add(await resolve(reference, own))
    return found


def whole(path: str) -> Path:
    """A path of the settings with its `~` replaced. Raises `CredentialError` for the home of somebody unknown."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise CredentialError(f"{path}: nobody of that name has a home here") from None


def exposed(path: Path) -> str | None:
    """Why a key file is not private; None where it is, or is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    mode = stat.S_IMODE(found.st_mode)
    return f"{path} can be read by others (mode {mode:o}): chmod 600 {path}" if mode & 0o077 else None


def _read(path: Path) -> str:
    fd = open_regular(path.resolve())
    if fd is None:
        raise CredentialError(f"the key file {path} is not there, or cannot be read")
    with os.fdopen(fd, "rb") as file:
        return file.read(KEY_BYTES).decode(errors="replace")


def _checked(text: str, where: str) -> str:
    key = text.strip()
    if not key:
        raise CredentialError(f"{where} holds no key")
    if not key.isprintable() or len(key) >= KEY_BYTES // 2 or " " in key:
        raise CredentialError(f"{where} holds something else than one key")
    return key
