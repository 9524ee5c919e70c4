"""All that a job is told, in one place: one function, one budget, one order. Pure.

What has to be told is told whole: the persona, its rules, the operator's notes, findings. What is left of the budget
goes to the hand-off first, then to skills, then to what was recalled; each takes no more than its own bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.briefing import Context, Detail, Omitted, Part, Piece, Place
from engine.units import tokens

#: In which order the budget is spent. In which order it is told is that of `Part`.
WEIGHT = (Part.PERSONA, Part.RULES, Part.CORE, Part.FINDINGS, Part.HAND_OFF, Part.SKILLS, Part.RECALLED)
STANDING = (Part.PERSONA, Part.RULES, Part.CORE)  #: what holds for the whole of a conversation


@dataclass(frozen=True, slots=True)
class Fitted:
    """What became of an offer in the room that it had."""

    text: str = ""
    details: list[Detail] = field(default_factory=list)
    left: list[Omitted] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    """By name, what to know of parts that are not told whole."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that could be told. `fit` makes the best of so many tokens; `most` is its own bound."""

    part: Part
    reason: str
    fit: Callable[[int], Fitted]
    most: int | None = None
    """None: it is told whole, whatever is left."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where what holds for the whole conversation is put. `silent`: it was, when the conversation began."""

    place: Place = Place.PROMPT
    where: str = ""
    note: str = ""
    """Why not elsewhere."""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Assembled:
    """What is told, as it goes to the agent, and the account of it."""

    context: Context
    standing: str = ""
    """For the system prompt or the file; empty where it stands in the prompt."""
    prompt: str = ""
    notes: dict[str, str] = field(default_factory=dict)


def whole(text: str, details: Sequence[Detail] = ()) -> Callable[[int], Fitted]:
    """For an offer that is not cut."""
    return lambda room: Fitted(text, list(details))


def assemble(offers: Sequence[Offer], budget: int, way: Way, without: Sequence[str] = ()) -> Assembled:
    """Decide what is told of all that could be, and put it in its order."""
    offered = {one.part: one for one in offers}
    left = budget
    fitted: dict[Part, Fitted] = {}
    for part in WEIGHT:
        offer = offered.get(part)
        if offer is None:
            continue
        room = max(0, left if offer.most is None else min(left, offer.most))
        made = fitted[part] = offer.fit(room)
        left -= tokens(made.text)
    if (task := offered.get(Part.TASK)) is not None:
        fitted[Part.TASK] = task.fit(0)
    pieces: list[Piece] = []
    standing: list[str] = []
    prompt: list[str] = []
    for part in Part:
        if part not in fitted:
            continue
        made = fitted[part]
        holds = part in STANDING
        if holds and way.silent:
            made = Fitted("", made.details, made.left)
        if not made.text and not made.details:
            continue
        apart = holds and way.place is not Place.PROMPT
        (standing if apart else prompt).append(made.text)
        reason = offered[part].reason
        if holds and (way.note or way.silent):
            reason += f"; {'its session was told it when it began' if way.silent else way.note}"
        pieces.append(
            Piece(
                part=part,
                tokens=tokens(made.text),
                reason=reason,
                place=way.place if holds else Place.PROMPT,
                where=way.where if apart else "",
                details=made.details,
                text=made.text,
            )
        )
    context = Context(
        budget=budget,
        tokens=sum(one.tokens for one in pieces if one.part is not Part.TASK),
        pieces=pieces,
        left_out=[one for part in Part if part in fitted for one in fitted[part].left],
        without=list(without),
    )
    notes = {name: note for made in fitted.values() for name, note in made.notes.items()}
    return Assembled(context, _joined(standing), _joined(prompt), notes)


def _joined(texts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, texts))
