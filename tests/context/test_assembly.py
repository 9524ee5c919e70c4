"""One budget, one order: what is told, where, and what is left out with a reason."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from engine.briefing import Omitted, Part, Place
from engine.context.assembly import STANDING, WEIGHT, Fitted, Offer, Way, assemble, whole
from engine.units import CHARACTERS_A_TOKEN, tokens


def cut(part: Part, text: str, most: int) -> Offer:
    """One that takes as much as it may, and says what it left."""

    def fit(room: int) -> Fitted:
        kept = text[: room * CHARACTERS_A_TOKEN]
        left = [Omitted(part=part, what="the rest", why="no room")] if len(kept) < len(text) else []
        return Fitted(kept, left=left)

    return Offer(part, "why", fit, most)


def test_it_is_told_in_one_order_whatever_order_it_is_offered_in() -> None:
    offers = [Offer(part, "why", whole(f"the {part}")) for part in Part]
    forward, back = assemble(offers, 1_000, Way()), assemble(offers[::-1], 1_000, Way())
    assert forward == back
    assert forward.prompt == "\n\n".join(f"the {part}" for part in Part)
    assert forward.standing == ""


def test_what_holds_for_the_conversation_stands_apart_and_once() -> None:
    offers = [Offer(part, "why", whole(f"the {part}")) for part in (Part.PERSONA, Part.CORE, Part.TASK)]
    apart = assemble(offers, 100, Way(Place.FILE, "AGENTS.md"))
    assert (apart.standing, apart.prompt) == ("the persona\n\nthe core", "the task")
    assert [(one.place, one.where) for one in apart.context.pieces] == [
        (Place.FILE, "AGENTS.md"), (Place.FILE, "AGENTS.md"), (Place.PROMPT, ""),
    ]  # fmt: skip
    again = assemble(offers, 100, Way(silent=True))
    assert (again.standing, again.prompt) == ("", "the task"), "a session that goes on was told when it began"


def test_the_hand_off_goes_before_skills_and_those_before_memory() -> None:
    long = "x" * 4_000
    offers = [
        cut(Part.RECALLED, long, 300),
        cut(Part.SKILLS, long, 300),
        cut(Part.HAND_OFF, long, 300),
        Offer(Part.RULES, "why", whole("y" * 1_600)),
    ]
    told = assemble(offers, 900, Way())
    size = {one.part: one.tokens for one in told.context.pieces}
    assert size == {Part.RULES: 400, Part.HAND_OFF: 300, Part.SKILLS: 200}
    assert {one.part for one in told.context.left_out} == {Part.HAND_OFF, Part.SKILLS, Part.RECALLED}


_OFFERS = st.lists(
    st.tuples(st.sampled_from(WEIGHT), st.integers(0, 3_000), st.integers(0, 500)),
    max_size=7,
    unique_by=lambda one: one[0],
)


@given(_OFFERS, st.integers(0, 2_000))
def test_what_may_be_cut_never_passes_the_budget(given_: list[tuple[Part, int, int]], budget: int) -> None:
    offers = [
        Offer(part, "w", whole("z" * size)) if part in STANDING else cut(part, "z" * size, most)
        for part, size, most in given_
    ]
    told = assemble(offers, budget, Way())
    fixed = sum(tokens("z" * size) for part, size, _ in given_ if part in STANDING)
    assert told.context.tokens <= max(budget, fixed)
    assert told.context.tokens == sum(one.tokens for one in told.context.pieces)
    assert [one.part for one in told.context.pieces] == [part for part in Part if told.context.piece(part)]
