"""An engine that is killed between sending and noting it: what it was telling is told again, under the same id."""

from __future__ import annotations

import json

from engine.notice import NotifyStatus
from engine.server.client import Client
from tests.conftest import Served, settings_file
from tests.notify.conftest import Web


async def test_a_killed_engine_loses_nothing_and_repeats_one_message_under_its_id(served: Served, web: Web) -> None:
    settings_file(
        served.home,
        "grace: 1\n"
        "notify:\n"
        f"  channels: {{hook: {{kind: webhook, url: '{web.url}/hook', key: {{env: HOOK}}}}}}\n"
        "  tell: {failed: [hook], needs_you: [], escalated: [], budget: [], engine: []}\n"
        "  gather: 0\n",
    )
    served.env["HOOK"] = "a-secret-of-the-hook"
    served.start()
    web.hold.clear()
    for command in ("exit 3", "exit 4"):
        assert served.headway("submit", "--agent", "shell", "--scratch", command).returncode == 0
    (first,) = await web.wait(1)
    await served.until_ended([1, 2])
    served.kill()  # it has sent, and waits for the answer
    web.hold.set()
    served.start()
    _, again, other = await web.wait(3)
    assert again.headers["webhook-id"] == first.headers["webhook-id"]
    assert json.loads(again.body)["data"] == json.loads(first.body)["data"]
    titles = [json.loads(got.body)["data"]["title"] for got in (again, other)]
    assert sorted(title.partition(" failed")[0] for title in titles) == ["J1", "J2"]
    async with Client(served.home) as client:
        status = await _settled(client)
    (line,) = status.channels
    assert (line.sent, line.waiting, line.failed) == (2, 0, 0)
    assert status.silence.finished == status.silence.told == 2
    assert "of 2 finished jobs 0 notified nobody (0.0%)" in served.headway("notify").stdout
    tried = served.headway("notify", "test", "hok")
    assert (tried.returncode, "did you mean 'hook'?" in tried.stderr) == (4, True)
    assert served.headway("notify", "test", "hook").stdout.startswith("✓ hook: sent, as ")


async def _settled(client: Client) -> NotifyStatus:
    """The status once nothing waits: a message is noted as sent a moment after it was received."""
    while (found := await client.notify_status()).channels[0].waiting:
        pass
    return found
