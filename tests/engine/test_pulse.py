"""How late the loop is."""

from engine.pulse import KEPT, Pulse


def test_a_loop_that_was_never_held_up_is_not_late() -> None:
    assert Pulse().lag(0.99) == 0.0


def test_it_tells_what_most_pauses_were_late_by() -> None:
    pulse = Pulse()
    for late in range(100):
        pulse.beat(0.05, 0.05 + late / 1000)
    assert round(pulse.lag(0.5) * 1000) == 50
    assert round(pulse.lag(0.99) * 1000) == 99
    assert round(pulse.lag(1.0) * 1000) == 99


def test_it_forgets_what_is_long_past() -> None:
    pulse = Pulse()
    pulse.beat(0.05, 9.0)
    for _ in range(KEPT):
        pulse.beat(0.05, 0.05)
    assert pulse.lag(1.0) == 0.0
