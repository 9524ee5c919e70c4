"""What a filter that is being typed can go on with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.model import Failure, Job, State
from engine.model.listing import FILTER_KEYS, FILTER_MEASURES, FILTER_SHORT

MOST = 12  #: words that are offered at once

#: What a measure can be compared to, for those who forgot how it is written.
_COMPARED = {"age": ("1h", "1d", "7d"), "cost": ("0.5", "1", "5"), "tokens": ("100000", "1000000"),
             "priority": ("3", "5"), "attempts": ("1", "2")}  # fmt: skip


def offers(text: str, known: Mapping[str, Sequence[str]]) -> list[str]:
    """Texts that the filter may become, its last word completed. `known`: values that are about, by key.

    Empty where the last word is a free word, or complete.
    """
    before, last = _parted(text)
    barred = "!" if last.startswith("!") else ""
    word = last[len(barred) :]
    key, colon, rest = word.partition(":")
    if colon:
        return [before + barred + one for one in _values(key, rest, known)]
    for name in FILTER_MEASURES:
        sign = next((sign for sign in (">=", "<=", ">", "<", "=") if word.startswith(name + sign)), "")
        if sign and word == name + sign:
            return [f"{before}{barred}{word}{value}" for value in _COMPARED[name]]
    if not word:
        return []
    names = [f"{name}:" for name in (*FILTER_KEYS, *FILTER_SHORT) if name.startswith(word)]
    names += [f"{name}>" for name in FILTER_MEASURES if name.startswith(word)]
    return [before + barred + name for name in names[:MOST]]


def _parted(text: str) -> tuple[str, str]:
    """What stands before the last word, with the space that parts them, and that word."""
    place = text.rfind(" ") + 1
    return text[:place], text[place:]


def _values(key: str, rest: str, known: Mapping[str, Sequence[str]]) -> list[str]:
    name = FILTER_SHORT.get(key, key)
    done, comma, last = rest.rpartition(",")
    barred = "!" if last.startswith("!") else ""
    start = last[len(barred) :].casefold()
    words: Sequence[str] = known.get(name, ())
    if name == "state":
        words = [state.value for state in State]
    elif name == "class":
        words = [*(failure.value for failure in Failure), *known.get("triage", ())]
    given = set(done.split(","))
    fit = [word for word in words if word.casefold().startswith(start) and word.casefold() != start]
    return [f"{key}:{done}{comma}{barred}{quoted(word)}" for word in fit if word not in given][:MOST]


def known_values(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """What a filter can ask for by name, as some jobs have it."""
    found: dict[str, set[str | None]] = {
        "agent": {job.agent for job in jobs},
        "model": {job.model for job in jobs},
        "project": {job.project.rstrip("/").rsplit("/", 1)[-1] for job in jobs if job.project},
        "account": {job.account for job in jobs},
        "route": {job.route for job in jobs},
        "kind": {job.kind for job in jobs},
        "triage": {job.triage for job in jobs},
        "tag": {tag for job in jobs for tag in job.tags},
        "schedule": {job.schedule for job in jobs},
        "worker": {job.target for job in jobs},
        "target": {job.target for job in jobs},
    }
    return {key: sorted(value for value in values if value) for key, values in found.items()}


def either(one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The values of both, by key."""
    return {key: sorted({*one.get(key, ()), *other.get(key, ())}) for key in {**one, **other}}


def quoted(word: str) -> str:
    """A value as it has to be written where it has a space in it."""
    return f'"{word}"' if " " in word else word
