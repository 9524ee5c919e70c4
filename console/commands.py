"""What is typed after `:`, read into an action and its argument."""

from __future__ import annotations

from difflib import get_close_matches

from console.actions import Action, commands
from engine.errors import UsageError


def read_command(text: str) -> tuple[Action, str]:
    """The action that a command line names, and what stands after its words.

    The longest command that fits wins, so `hold all` is not `hold`. Raises `UsageError`, naming the nearest command.
    """
    table = commands()
    words = text.split()
    if not words:
        raise UsageError("type a command, such as :job 12, :theme day, :filter state:failed, :quit")
    for size in range(len(words), 0, -1):
        action = table.get(" ".join(words[:size]).lower())
        if action is None:
            continue
        rest = text.split(None, size)[size] if len(words) > size else ""
        if rest and not action.argument:
            raise UsageError(f":{action.command} takes nothing after it, and got {rest!r}")
        return action, rest.strip()
    near = get_close_matches(" ".join(words[:2]), table, 1, 0.5) or get_close_matches(words[0], table, 1, 0.5)
    hint = f"; did you mean :{near[0]}?" if near else "; ? lists them"
    raise UsageError(f"there is no command :{words[0]}{hint}")


def read_job(text: str) -> int:
    """A job's number, as `12` or `J12`. Raises `UsageError` for anything else."""
    digits = text.strip().lstrip("jJ#")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise UsageError(f"{text.strip()!r} is not a job's number, such as 12 or J12" if text else "which job? :job 12")
    return int(digits)
