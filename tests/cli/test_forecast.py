"""What `headway forecast` prints of a real engine, and of what cannot be foreseen."""

from __future__ import annotations

from console.cli.foresight import _burn, _through
from engine.clock import now_ms
from engine.model import Verb
from engine.model.forecast import Burn, Forecast, Through
from engine.server.client import Client
from tests.conftest import Served, settings_file, shell


async def test_the_forecast_of_a_queue_with_history(served: Served) -> None:
    settings_file(served.home, "max_running: 1\ngrace: 1\n")
    served.start()
    assert served.headway("forecast").stdout.splitlines()[0] == "queue     empty"
    async with Client(served.home) as client:
        await served.until_ended(await client.submit([shell("true"), shell("true")]))
        (running,) = await client.submit([shell("sleep 600")])
        await client.submit([shell("true"), shell("true")])
        found = await client.forecast()
        assert (found.through.jobs, found.through.stuck, found.through.borrowed) == (3, 0, 0)
        assert found.through.finish is not None and found.through.finish_late is not None
        assert found.now < found.through.finish <= found.through.finish_late
        assert (found.through.cost_micros, found.through.unpriced) == (0, 0), "a command costs nothing"
        told = served.headway("forecast").stdout
        assert "queue     3 jobs, played through 200 times" in told
        await client.act(Verb.CANCEL, [running])


def test_what_is_left_out_is_said() -> None:
    now = now_ms()
    found = Through(jobs=9, finish=now + 60_000, finish_late=now + 90_000, games=20, borrowed=2, unpriced=3, stuck=1)
    told = "\n".join(_through(found, now))
    assert "1 of them come to no end by themselves" in told
    assert "2 of them have no history of their own" in told
    assert "3 of them have no known price" in told
    assert "the first 9 jobs" in "\n".join(_through(Through(jobs=9, whole=False), now))


def test_a_wall_before_the_queue_is_through_is_marked() -> None:
    now = now_ms()
    burn = Burn(account="claude@work", window="five_hour", used=0.62, seen_at=now, rate=0.2, wall=now + 600_000)
    soon, later = Through(jobs=1, finish=now + 60_000), Through(jobs=1, finish=now + 900_000)
    assert "before the queue is through" in _burn(burn, Forecast(now=now, through=later))[4]
    assert "before the queue is through" not in _burn(burn, Forecast(now=now, through=soon))[4]
    assert _burn(burn, Forecast(now=now, through=soon))[:4] == ("claude@work", "five_hour", "62%", "20.0%")
