"""The door to the network, by real sockets: who is let in, and what those are told who are not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import httpx
import msgspec
import pytest

from engine import events as log
from engine.config import ServerSettings
from engine.engine import Engine
from engine.errors import (
    ForbiddenError,
    NoEngineError,
    RefusedError,
    TooManyError,
    UnknownCallerError,
    UsageError,
)
from engine.events import Event
from engine.model import Verb
from engine.model.access import GIVEN, Role, TokenWanted
from engine.remote.address import read_address
from engine.remote.https import NetworkClient
from engine.server.needs import NEEDS
from engine.server.network import KEY, opened
from engine.server.peers import FREE_FAILURES, Peers
from tests.conftest import PATIENCE, ended, shell
from tests.server.network import certified, head, reached, said


async def test_a_token_opens_what_its_role_may(engine: Engine) -> None:
    async with reached(engine) as there:
        tokens = {role: await there.token(role) for role in GIVEN}
        async with there.client(tokens[Role.OPERATOR]) as operator:
            jobs = await operator.submit([shell("echo hello")])
            await ended(engine, jobs)
            heard = [line.event async for line in operator.log(jobs[0])]
            assert getattr(heard[0], "text", None) == "hello"
            await operator.act(Verb.HOLD, everything=True)
            assert (await operator.status()).held_all == "token operator"
            with pytest.raises(ForbiddenError, match="that needs an admin"):
                await operator.shutdown()
        async with there.client(tokens[Role.VIEWER]) as viewer:
            assert (await viewer.jobs())[0].id == jobs[0]
            with pytest.raises(ForbiddenError, match="is of a viewer; that needs an operator"):
                await viewer.act(Verb.RELEASE, everything=True)
        async with there.client(tokens[Role.ADMIN]) as admin:
            assert {one.name for one in await admin.tokens()} == set(GIVEN)
            told = [(one.who, one.status, one.door, one.address) for one in await admin.audit()]
            assert told == [
                ("operator", 201, "tcp", "127.0.0.1"),
                ("operator", 200, "tcp", "127.0.0.1"),
                ("operator", 403, "tcp", "127.0.0.1"),
                ("viewer", 403, "tcp", "127.0.0.1"),
            ]
            await admin.shutdown()
        assert engine.asked_to_stop.is_set()


async def test_nothing_is_answered_without_a_token_that_opens(engine: Engine) -> None:
    async with reached(engine) as there:
        gone = await there.token(name="gone")
        await engine.tokens.revoke("gone", "test")
        good = await there.token()
        late = await there.token(name="late", expires="1ms")
        wrong = {
            "": "no token was shown", "Bearer": "no token was shown", f"Basic {good}": "no token was shown",
            f"Bearer {gone}": "opens nothing", f"Bearer {late}": "opens nothing", f"Bearer {good}x": "opens nothing",
        }  # fmt: skip
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=there.certificate)) as http:
            for shown, why in list(wrong.items())[:FREE_FAILURES]:
                headers = {"Authorization": shown} if shown else {}
                answer = await http.get(f"{there.url}/v1/status", headers=headers)
                assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), shown
                assert why in answer.json()["message"], shown
            for call in ("GET /healthz", "HEAD /healthz"):
                method, _, path = call.partition(" ")
                assert (await http.request(method, there.url + path)).status_code == 200
            assert (await http.post(f"{there.url}/healthz")).status_code == 401


async def test_every_call_is_shut_to_who_has_no_token(engine: Engine) -> None:
    async with reached(engine) as there:
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=there.certificate)) as http:
            for method, path in sorted(set(NEEDS) - {("GET", "/healthz")}):
                answer = await http.request(method, there.url + path.replace("{", "").replace("}", ""))
                assert answer.status_code in (401, 429), (method, path)
        assert (await engine.status()).counts.unfinished == 0 and not engine.asked_to_stop.is_set()


@pytest.mark.parametrize("role", GIVEN)
async def test_a_token_of_the_wrong_role_is_refused_by_every_call(engine: Engine, role: Role) -> None:
    refused = sorted(call for call, need in NEEDS.items() if not role.may(need))
    assert refused
    async with reached(engine) as there:
        headers = {"Authorization": f"Bearer {await there.token(role)}"}
        trusted = ssl.create_default_context(cafile=there.certificate)
        async with httpx.AsyncClient(verify=trusted, headers=headers, base_url=there.url) as http:
            for method, path in refused:
                answer = await http.request(method, path.replace(":path", "").replace("{", "").replace("}", ""))
                assert (answer.status_code, answer.json()["error"]) == (403, "forbidden"), (method, path, answer.text)
        # Nothing was done, and it is written down that it was tried.
        assert not engine.asked_to_stop.is_set() and not (await engine.status()).draining
        assert await engine.store.read.actions(10) == [] and await engine.list_jobs("", 10) == []
        told = await engine.audit.lines(0, str(role), 100)
        assert {one.status for one in told} == {403}


@pytest.mark.parametrize("role", GIVEN)
async def test_the_audit_is_read_by_none_but_admins_in_the_log_either(engine: Engine, role: Role) -> None:
    await engine.audit.note(log.Audited("ada", "owner", "unix", "pid 7", "POST /v1/jobs", 201, "J1"))
    async with reached(engine) as there, there.client(await there.token(role)) as client:
        told = [await client.events(), await client.events(after=0), await client.events(after=0, limit=1)]
        async with asyncio.timeout(PATIENCE):
            async for event in client.follow(0):
                told.append([event] if isinstance(event, Event) else [])
                break
    assert all(told), "where a line stands is seen: who pages goes on behind it"
    assert (b"ada" in msgspec.json.encode(told)) is role.may(Role.ADMIN)


async def test_who_guesses_is_put_off_and_locks_out_nobody(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.server.guard.monotonic", lambda: 1_000.0)
    async with reached(engine) as there:
        good = await there.token()
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=there.certificate)) as http:
            statuses = []
            for number in range(FREE_FAILURES + 20):
                answer = await http.get(f"{there.url}/v1/jobs", headers={"Authorization": f"Bearer hwt_{number}"})
                statuses.append(answer.status_code)
            assert statuses == [401] * (FREE_FAILURES + 1) + [429] * 19
            assert int(answer.headers["Retry-After"]) >= 1
        async with there.client(good) as client:
            assert await client.jobs() == []
        # What was not looked at left no line.
        assert len(await engine.audit.lines(0, "?", 100)) == statuses.count(401)


async def test_what_is_open_is_shut_with_its_token(engine: Engine) -> None:
    async with reached(engine) as there:
        async with there.client(await there.token(name="ci")) as client, asyncio.timeout(PATIENCE):
            following = asyncio.ensure_future(_all(client))
            while not engine.hub.subscribers:
                await asyncio.sleep(0)
            await engine.tokens.revoke("ci", "test")
            # At most it has heard of its own end.
            assert {type(one.body) for one in await following} <= {log.TokenRevoked}
            with pytest.raises(UnknownCallerError):
                await client.status()
        brief = await there.token(name="brief", expires="2s")
        async with there.client(brief) as client, asyncio.timeout(PATIENCE):
            assert [one async for one in client.follow(engine.hub.seq)] == []
        while engine.hub.subscribers:
            await asyncio.sleep(0)


async def test_a_stream_without_a_body_is_shut_with_its_token_as_well(engine: Engine) -> None:
    async with reached(engine) as there, there.raw() as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(head(await there.token(name="ci"), "HEAD", "/v1/events?follow=1", "Connection: close"))
        while not engine.hub.subscribers:
            await asyncio.sleep(0)
        await engine.tokens.revoke("ci", "test")
        assert (await said(reader)).startswith(b"HTTP/1.1 200")
        while engine.hub.subscribers:
            await asyncio.sleep(0)


async def _all(client: NetworkClient) -> list[Event]:
    return [one async for one in client.follow() if isinstance(one, Event)]


async def test_a_token_has_so_many_requests_and_no_more(engine: Engine) -> None:
    async with reached(engine, ServerSettings(requests=5, connections=2)) as there:
        first, second = await there.token(name="first"), await there.token(name="second")
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=there.certificate)) as http:
            answers = [
                await http.get(f"{there.url}/v1/status", headers={"Authorization": f"Bearer {first}"}) for _ in range(6)
            ]
            assert [one.status_code for one in answers] == [200] * 5 + [429]
            assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12
            assert answers[-1].json()["retry_after"] > 0
            other = await http.get(f"{there.url}/v1/status", headers={"Authorization": f"Bearer {second}"})
            assert other.status_code == 200


async def test_a_client_that_is_told_to_wait_waits(engine: Engine) -> None:
    async with reached(engine, ServerSettings(requests=60)) as there, there.client(await there.token()) as client:
        for _ in range(61):
            await client.status()

    async with (
        reached(engine, ServerSettings(requests=1)) as there,
        there.client(await there.token(name="one")) as client,
    ):
        await client.status()
        with pytest.raises(TooManyError, match="too many requests of the token one"):
            await client.status()


async def test_a_certificate_is_pinned_or_signed(engine: Engine) -> None:
    async with reached(engine) as there:
        secret = await there.token()
        signed = read_address(there.url, {"HEADWAY_TOKEN": secret}, ca_file=there.certificate)
        async with NetworkClient(signed) as client:
            assert await client.jobs() == []
        used = (await engine.tokens.every())[0].used_at
        for address, why in (
            (read_address(there.url, {"HEADWAY_TOKEN": secret}), "is not trusted"),
            (read_address(there.url, {"HEADWAY_TOKEN": secret}, fingerprint="ab" * 32), "not the one that is pinned"),
        ):
            async with NetworkClient(address) as client:
                with pytest.raises(NoEngineError, match=why):
                    await client.status()
        assert (await engine.tokens.every())[0].used_at == used  # it never came that far


async def test_who_speaks_without_tls_is_told_and_gets_nothing(engine: Engine) -> None:
    async with reached(engine) as there:
        reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
        writer.write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            heard = await reader.read()
        assert heard.startswith(b"HTTP/1.1 400") and b"https://" in heard
        writer.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", there.port, ssl=old)


def test_tcp_is_refused_without_a_certificate(tmp_path: Path) -> None:
    peers = Peers(1, 1)
    with pytest.raises(UsageError, match="with TLS only"), opened(ServerSettings(), "127.0.0.1:0", tmp_path, peers):
        pass
    certificate = certified(tmp_path)
    named = ServerSettings(certificate=str(certificate), key=str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="is not there"), opened(named, "127.0.0.1:0", tmp_path, peers):
        pass
    swapped = ServerSettings(certificate=str(certificate), key=str(certificate))
    with pytest.raises(UsageError, match="no certificate and its key"), opened(swapped, "127.0.0.1:0", tmp_path, peers):
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        again = opened(ServerSettings(), f"127.0.0.1:{port}", tmp_path, peers)
        with pytest.raises(RefusedError, match="cannot be listened at"), again:
            pass
    (certificate.parent / KEY).chmod(0o644)
    with pytest.raises(RefusedError, match="chmod 600"), opened(ServerSettings(), "127.0.0.1:0", tmp_path, peers):
        pass


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x" * 41, "a b", "\x1b[31m", "token\n", "-rf"])
def test_a_token_has_a_plain_name(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode({"name": name}), type=TokenWanted)
