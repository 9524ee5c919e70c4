"""What can go wrong, in words a person can act on. Each error knows its exit code and its HTTP status."""

from __future__ import annotations

from collections.abc import Sequence

from engine.plain import plain

MESSAGE_LIMIT = 8_000  #: characters of a message: what was wrong may be quoted in it, and be a whole file


class HeadwayError(Exception):
    """Base of every error that a user may meet. The message says what was wrong, where, and what to do.

    It quotes what others wrote, and goes to terminals, logs and JSON: what only a terminal obeys is taken out.
    """

    exit_code = 1
    status = 500
    kind = "failed"

    def __init__(self, message: str) -> None:
        message = _shown(message)
        super().__init__(message)
        self.message = message


def _shown(message: str) -> str:
    message = plain(message)
    return message if len(message) <= MESSAGE_LIMIT else f"{message[: MESSAGE_LIMIT - 1]}…"


class UsageError(HeadwayError):
    """The request itself is wrong: a bad option, a bad job file, a bad setting."""

    exit_code, status, kind = 2, 400, "usage"


class SettingError(UsageError):
    """A setting that something else than its type refuses. `keys` lead to it."""

    def __init__(self, keys: tuple[str, ...], why: str) -> None:
        super().__init__(f"{'.'.join(keys)}: {why}")
        self.keys = keys
        self.why = why


class EntryError(UsageError):
    """One entry of several is wrong, and all were refused. `entry` counts from 0, `key` is its wrong field.

    `others` are all else that is wrong, in the order of the entries. What follows a batch counts as one after the last.
    """

    kind = "entry"

    def __init__(self, message: str, entry: int = 0, key: str = "", others: Sequence[EntryError] = ()) -> None:
        super().__init__(message)
        self.entry = entry
        self.key = key
        self.others = tuple(others)

    @property
    def why(self) -> str:
        """What is wrong, without its key."""
        return self.message.removeprefix(f"{self.key}: ")


class NoEngineError(HeadwayError):
    """No engine serves this home."""

    exit_code, status, kind = 3, 503, "no_engine"


class NotFoundError(HeadwayError):
    """A job, attempt or file that was named does not exist."""

    exit_code, status, kind = 4, 404, "not_found"


class NotStartedError(NotFoundError):
    """The job exists and has had no attempt yet."""


class RefusedError(HeadwayError):
    """The request is understood and not allowed now: a wrong state, a home that is taken, a newer database."""

    exit_code, status, kind = 5, 409, "refused"


class ForbiddenError(RefusedError):
    """The caller is known, and may not do that."""

    status, kind = 403, "forbidden"


class UnknownCallerError(RefusedError):
    """Who calls over the network showed no token, or one that opens nothing."""

    status, kind = 401, "unknown_caller"


class TooLargeError(UsageError):
    """The request is larger than any is taken."""

    status, kind = 413, "too_large"


class TooManyError(RefusedError):
    """More than a caller may. Nothing of it was done, and `retry_after` seconds later it may be."""

    status, kind = 429, "too_many"

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CredentialError(RefusedError):
    """A key or a login is not where the settings say. The message never quotes what was found."""


class StorageError(HeadwayError):
    """The home cannot be written or read: a full disk, a read-only file system, a damaged database."""

    exit_code, status, kind = 1, 507, "storage"
