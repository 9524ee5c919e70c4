"""The home directory: where everything of one engine lives, and the lock that lets only one engine serve it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.errors import RefusedError, StorageError, UsageError
from engine.modes import mend

SOCKET = "engine.sock"
#: Where agents call their tools, and nothing else can be called. In a directory of its own, which a sandbox lets in:
#: the next engine puts another socket there.
AGENTS = "agents/tools.sock"
#: Beside it: the way to the network of a sandbox that may reach some hosts alone.
NETWORK = "agents/network.sock"
LOCK = "engine.lock"
LOG = "engine.log"

#: Any of these in a directory says that it is a Headway home already.
_SIGNS = ("headway.db", LOCK, "headway.yaml", LOG)


def default_home(environment: dict[str, str], user: Path | None = None) -> Path:
    """`HEADWAY_HOME`, else `$XDG_STATE_HOME/headway`, else `~/.local/state/headway`; `user`: another one's `~`."""
    if named := environment.get("HEADWAY_HOME"):
        return Path(named)
    state = environment.get("XDG_STATE_HOME")
    return (Path(state) if state else (user or Path.home()) / ".local" / "state") / "headway"


def whole(home: Path) -> Path:
    """A home as the user wrote it, as an absolute path. Raises `UsageError` for the `~` of somebody unknown."""
    try:
        return home.expanduser().absolute()
    except RuntimeError:
        raise UsageError(f"{home} is no home: nobody of that name is known here") from None


def is_home(home: Path) -> bool:
    """Whether a directory is a Headway home, or empty and may become one."""
    entries = {entry.name for entry in home.iterdir()}
    return not entries or bool(entries & set(_SIGNS))


def make_home(home: Path) -> list[str]:
    """Create the home, or take one that is there. It is nobody else's to read; returns what was.

    Raises `RefusedError` for a directory with other things in it, or of somebody else, and `StorageError` where it
    cannot be made.
    """
    try:
        str(home).encode()
    except UnicodeEncodeError:
        raise RefusedError("the home's name is not valid UTF-8; name another with --home") from None
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_home(home):
            raise RefusedError(f"{home} is not a Headway home and not empty; name another with --home")
        mended = mend(home)
        if not os.access(home, os.W_OK):
            raise StorageError(f"{home} cannot be written; name another home with --home or HEADWAY_HOME")
        (home / LOCK).touch(mode=0o600)
        return mended
    except (FileExistsError, NotADirectoryError):
        raise RefusedError(f"{home} is not a directory; name another home with --home") from None
    except OSError as error:
        raise StorageError(f"{home} cannot be used as a home: {error.strerror}") from error


class Holder(msgspec.Struct, frozen=True):
    """Who holds a home."""

    pid: int
    version: str
    started_at: int


@dataclass(slots=True)
class Lock:
    """The engine lock of a home. The kernel gives it back when its holder dies, however it dies."""

    fd: int
    directory: int
    """The home itself is locked too: the file can be deleted under us."""

    @classmethod
    def take(cls, home: Path, holder: Holder) -> Lock:
        """Hold the home, raising `RefusedError` that says who has it, or `StorageError` where it cannot be held."""
        try:
            directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(f"{home} cannot be used as a home: {error.strerror}") from None
        try:
            fd = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            os.close(directory)
            raise StorageError(f"{home / LOCK} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            os.close(directory)
            raise RefusedError(_taken(home)) from None
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, msgspec.json.encode(holder), 0)
        except OSError as error:
            os.close(fd)
            os.close(directory)
            raise StorageError(f"the disk that holds {home} is full: free some space ({error.strerror})") from None
        return cls(fd, directory)

    def release(self) -> None:
        os.ftruncate(self.fd, 0)
        os.close(self.fd)
        os.close(self.directory)


def wait_until_free(home: Path) -> None:
    """Return once no engine holds the home: its files may be moved, or another engine started."""
    directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_SH)
    finally:
        os.close(directory)


def holder(home: Path) -> Holder | None:
    """Who serves this home, by its lock file; None where it does not say."""
    try:
        return msgspec.json.decode((home / LOCK).read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def _taken(home: Path) -> str:
    who = holder(home)
    if who is None:
        return f"another engine serves {home}"
    return f"the engine with pid {who.pid} (Headway {who.version}) serves {home}; `headway` opens the console on it"
