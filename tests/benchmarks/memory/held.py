"""Sets held back: other subjects, other wordings and another seed than those by which anything was chosen.

They were written before they were measured for the first time, and nothing was changed after. Whoever changes the
search because of what they show has to write new ones.
"""

from __future__ import annotations

import random

from engine.memory.item import DAY_MS, Item, Standing
from tests.benchmarks.memory.sets import NOW, MadeSet, Question, make, noise

SEED = 20_261_128

PARTS = (
    ("the forklift charger", "the battery dock of the trucks", "the lift truck power station"),
    ("the cold room", "the refrigerated chamber", "the freezer hall"),
    ("the label printer", "the barcode machine", "the sticker press"),
    ("the loading ramp", "the dock leveller", "the truck platform"),
    ("the conveyor", "the sorting belt", "the moving band"),
    ("the badge reader", "the door terminal", "the entry scanner"),
    ("the sprinkler valve", "the fire water gate", "the extinguisher cock"),
    ("the weighing scale", "the pallet balance", "the load cell"),
    ("the air compressor", "the pneumatic pump", "the pressure unit"),
    ("the handheld scanner", "the picking gun", "the mobile reader"),
    ("the stretch wrapper", "the film machine", "the pallet winder"),
    ("the camera wall", "the video desk", "the surveillance screens"),
)
FAULTS = (
    ("will not turn on", "stays dark", "gives no sign of life"),
    ("beeps without end", "keeps sounding its alarm", "does not stop signalling"),
    ("reads the wrong number", "displays a false figure", "measures incorrectly"),
    ("is stuck halfway", "jams in the middle", "blocks before its end"),
    ("leaks onto the floor", "drips under itself", "loses fluid"),
    ("forgets its setup", "comes back with factory values", "lost its configuration"),
    ("smells of burning", "gives off a scorched odour", "gets far too hot"),
    ("answers late", "reacts with a delay", "lags behind"),
)
CURES = (
    "swap fuse F3", "hold the green key for nine seconds", "call the vendor's night desk",
    "wipe the sensor with alcohol", "tighten the clamp on the left", "load profile B again", "drain the trap first",
    "unplug the second cable", "let it cool for an hour", "replace the seal from the red box",
)  # fmt: skip
#: As a person notes it, and as another one asks.
NOTED = (
    "{part} {fault}. Fault {code}. What worked: {cure}",
    "Shift report: {part} {fault}, shown as {code}; we did this and it was fine: {cure}",
    "[{code}] {cure} if {part} {fault}",
)
ASKED = (
    "anybody seen this: {part} {fault}?",
    "{fault} - it is {part} again. What do I do",
    "need help, {part} {fault}",
)
PASTED = ("what does {code} mean on {part}", "{code} came up just now", "display says {code}. {part}. help")

ROOMS = tuple(f"hall {letter}{number}" for letter in "ABCDEFGH" for number in range(1, 8))
TRAITS = (
    (
        "the key for {} hangs at {}",
        "where do I find the key for {}?",
        ("the gate", "desk 4", "the locker", "the office"),
    ),
    ("{} is cleaned on {}", "on which day is {} cleaned?", ("Monday", "Tuesday", "Thursday", "Saturday")),
    ("whoever needs {} asks {}", "whom do I ask about {}?", ("Priya", "Jonas", "Amara", "Luis")),
)
CHANGES = ("From now on {}.", "Changed: {}.", "{}. (new)", "As agreed yesterday, {}.")
BEFORE = ("{}.", "Note: {}.", "For the record, {}.", "It is so that {}.")


def notes() -> MadeSet:
    """What mended what, each in one of three wordings; a third of the questions paste the code."""
    rng = random.Random(SEED)
    codes = rng.sample(range(100, 1_000), len(PARTS) * len(FAULTS))
    items: list[Item] = []
    questions: list[Question] = []
    for part in PARTS:
        for fault in FAULTS:
            number, code = len(items) + 1, f"F-{codes[len(items)]}"
            words = {"part": rng.choice(part), "fault": rng.choice(fault), "cure": rng.choice(CURES), "code": code}
            text = rng.choice(NOTED).format(**words)
            items.append(make(number, text, NOW - rng.randrange(300 * DAY_MS), **noise(rng)))
            asked = {"part": rng.choice(part), "fault": rng.choice(fault), "code": code}
            form = rng.choice(PASTED if rng.random() < 1 / 3 else ASKED)
            questions.append(Question(form.format(**asked), frozenset({number})))
    return MadeSet(items, questions)


def stale(*, flagged: bool) -> MadeSet:
    """Halls of which something is known, and later something else. `flagged`: that the first is superseded is known."""
    rng = random.Random(SEED + 1)
    items: list[Item] = []
    questions: list[Question] = []
    for room in ROOMS:
        for said, asked, values in TRAITS:
            old, new = rng.sample(values, 2)
            number = len(items) + 1
            gone: dict[str, object] = {"standing": Standing.SUPERSEDED, "superseded_by": number + 1} if flagged else {}
            older = rng.choice(BEFORE).format(said.format(room, old))
            newer = rng.choice(CHANGES).format(said.format(room, new))
            items.append(make(number, older, NOW - rng.randrange(30, 250) * DAY_MS, **noise(rng), **gone))
            items.append(make(number + 1, newer, NOW - rng.randrange(0, 29) * DAY_MS, **noise(rng)))
            questions.append(Question(asked.format(room), frozenset({number + 1})))
    return MadeSet(items, questions)
