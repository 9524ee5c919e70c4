"""The API as a client sees it, over a real socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import httpx
import msgspec
import pytest

from engine import events as log
from engine.agents import events as said
from engine.errors import EntryError, NoEngineError, NotFoundError, UsageError
from engine.model import JobSpec, State, Verb
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, settings_file, shell


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    settings_file(served.home, "max_running: 4\ngrace: 1\n")
    served.start()
    async with Client(served.home) as one:
        yield one


async def test_a_job_goes_there_and_back(client: Client, served: Served) -> None:
    (job,) = await client.submit([shell("echo out; echo err >&2; exit 3", title="three")])
    await served.until_ended([job])
    detail = await client.job(job)
    assert (detail.job.state, detail.job.failure, detail.job.title) == (State.FAILED, "unknown", "three")
    assert detail.attempts[0].exit_code == 3
    lines = [line.event async for line in client.log(job)]
    assert lines == [said.Output("out"), said.Output("err")]
    assert b"".join([data async for data in client.output(job)]) == b"out\nerr\n"


async def test_a_submission_is_all_or_nothing(client: Client) -> None:
    with pytest.raises(EntryError) as caught:
        await client.submit([shell("true"), JobSpec(prompt="x", agent="cluade")])
    assert (caught.value.entry, caught.value.key) == (1, "agent")
    assert "did you mean 'claude'" in caught.value.message
    assert await client.jobs() == []


async def test_the_log_is_followed_live_and_to_its_end(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (job,) = await client.submit([shell(f"echo first; read line <{gate}; echo second")])
    heard: list[said.AnyAgentEvent] = []
    async with asyncio.timeout(PATIENCE):
        async for line in client.log(job, follow=True):
            heard.append(line.event)
            if heard == [said.Output("first")]:  # it is told while the job still runs
                gate.write_text("go\n")
    assert heard == [said.Output("first"), said.Output("second")]


async def test_a_log_resumes_at_any_line(client: Client, served: Served) -> None:
    (job,) = await client.submit([shell("for i in 1 2 3 4 5; do echo line $i; done; printf half")])
    await served.until_ended([job])
    whole = [line async for line in client.log(job)]
    texts = [line.event for line in whole]
    assert texts[-1] == said.Output("half")
    for number, line in enumerate(whole[:-1], 1):
        assert [one.event async for one in client.log(job, after=line.next)] == texts[number:]
    assert [one.event async for one in client.log(job, tail=2)] == texts[-2:]


async def test_the_event_stream_resumes_by_sequence_number(client: Client, served: Served) -> None:
    (job,) = await client.submit([shell("true")])
    await served.until_ended([job])
    seen: list[int] = []
    for _ in range(2):
        async with asyncio.timeout(PATIENCE), aclosing(client.follow(seen[-1] if seen else 0)) as stream:
            async for event in stream:
                if isinstance(event, log.Event):
                    seen.append(event.seq)
                    if len(seen) % 2 == 0:
                        break
    assert seen == [1, 2, 3, 4]


async def test_a_hold_on_everything_keeps_jobs_waiting_and_says_so(client: Client, served: Served) -> None:
    await client.act(Verb.HOLD, everything=True)
    (job,) = await client.submit([shell("true")])
    detail = await client.job(job)
    assert detail.job.state is State.READY
    assert [str(one) for one in detail.waiting] == ["everything is held by operator; `headway release --all` ends it"]
    await client.act(Verb.RELEASE, everything=True)
    await served.until_ended([job])


async def test_a_dry_run_changes_nothing_and_says_what_would_happen(client: Client) -> None:
    await client.act(Verb.HOLD, everything=True)
    ids = await client.submit([shell("true"), shell("true")])
    would = await client.act(Verb.CANCEL, ids, dry_run=True)
    assert (would.done, would.dry_run) == (ids, True)
    assert {job.state for job in await client.rows(ids)} == {State.READY}
    assert not [event for event in await client.events(after=0) if isinstance(event.body, log.Cancelled)]


async def test_what_cannot_be_is_refused_with_its_class(client: Client) -> None:
    with pytest.raises(NotFoundError, match="no job 77"):
        await client.job(77)
    with pytest.raises(NotFoundError, match="no such job: 77"):
        await client.act(Verb.CANCEL, [77])
    with pytest.raises(UsageError, match="did you mean state"):
        await client.jobs("stat:failed")
    with pytest.raises(UsageError, match="a scope is for hold, release and cap"):
        await client.act(Verb.CANCEL, everything=True)


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/v1/nothing", b"", 404),
        ("PUT", "/v1/jobs", b"", 404),
        ("POST", "/v1/jobs", b"not json", 400),
        ("POST", "/v1/jobs", b'{"jobs": [{"promt": "x"}]}', 400),
        ("POST", "/v1/jobs", b"[" * 100_000, 400),
        ("POST", "/v1/actions", b'{"verb": "explode"}', 400),
        ("GET", "/v1/jobs?limit=many", b"", 400),
        ("GET", "/v1/jobs?ids=1,x", b"", 400),
        ("GET", "/v1/jobs/1/log", b"", 404),
        ("GET", "/v1/jobs/99999999999999999999", b"", 404),
    ],
)
async def test_a_bad_request_gets_a_clear_answer(
    client: Client, served: Served, method: str, path: str, content: bytes, status: int
) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(served.home / "engine.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://headway") as http:
        answer = await http.request(method, path, content=content)
    assert answer.status_code == status, answer.text
    assert set(msgspec.json.decode(answer.content)) >= {"error", "message"}


async def test_the_socket_is_its_owners_alone(client: Client, served: Served) -> None:
    mode = (served.home / "engine.sock").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(served.home.stat().st_mode) == 0o700
    if os.geteuid() != 0:
        pytest.skip("to come as another user takes root")
    # Even with every mode thrown open, the engine looks at who is there.
    for path in (served.home, *served.home.parents):
        if path == Path("/tmp") or path == Path("/"):
            break
        path.chmod(0o755)
    (served.home / "agents").chmod(0o755)
    for name in ("engine.sock", "agents/tools.sock"):
        (served.home / name).chmod(0o777)
        assert _answer_as(65534, served.home / name) == b""
    served.home.chmod(0o700)


def _answer_as(uid: int, path: Path) -> bytes:
    """What the socket answers to another user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(uid)
            os.setuid(uid)
            caller = socket.socket(socket.AF_UNIX)
            caller.connect(str(path))
            caller.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            os.write(writing, caller.recv(1000))
        except ConnectionError:
            pass
        except OSError as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as answer:
        return answer.read()


async def test_a_home_with_a_long_path_is_served(tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 30)
    one = Served(home)
    one.start()
    try:
        async with Client(home) as client:
            assert (await client.status()).home == str(home)
    finally:
        one.stop()


async def test_no_engine_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(NoEngineError, match="headway serve"):
        async with Client(tmp_path / "nowhere"):
            pass
    (tmp_path / "engine.sock").touch()
    with pytest.raises(NoEngineError):
        async with Client(tmp_path) as client:
            await client.status()


async def test_a_reader_that_does_not_read_holds_up_nobody(client: Client, served: Served) -> None:
    deaf = socket.socket(socket.AF_UNIX)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(str(served.home / "engine.sock"))
    deaf.sendall(b"GET /v1/events?follow=1&after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        for _ in range(5):
            await client.submit([shell("true", title="x" * 80) for _ in range(400)])
            await client.act(Verb.HOLD, everything=True)
        assert (await client.status()).counts.unfinished > 0
    finally:
        deaf.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_can_talk_to_it(client: Client, served: Served) -> None:
    done = subprocess.run(
        ["curl", "-s", "--unix-socket", str(served.home / "engine.sock"), "http://headway/v1/status"],
        capture_output=True,
    )
    assert msgspec.json.decode(done.stdout)["pid"] == served.process.pid  # type: ignore[union-attr]
