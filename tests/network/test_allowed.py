"""Which hosts a list lets be reached, by name and by what the name leads to; and whose pass it is."""

from __future__ import annotations

import asyncio
import string
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.config import AccountSettings, AgentSettings, Settings
from engine.config.sandbox import SandboxSettings, complaints
from engine.network.allowed import address_of, entry_for, leads_astray, parse
from engine.network.passes import KEY, Pass, key_of, read, sign
from engine.network.proxy import Goal, RefusedWayError, connect, goal_of

LIST = [
    parse(one) for one in ("api.example.org", "*.example.com:8443", "10.0.0.7:5432", "[::1]:8000", "Big.Example.NET.")
]


@pytest.mark.parametrize(
    ("host", "port", "may"),
    [
        ("api.example.org", 443, True),
        ("API.example.org.", 80, True),
        ("api.example.org", 22, False),
        ("x.api.example.org", 443, False),
        ("api.example.org.evil.net", 443, False),
        ("evil-api.example.org", 443, False),
        ("a.b.example.com", 8443, True),
        ("example.com", 8443, False),
        ("badexample.com", 8443, False),
        ("a.example.com", 443, False),
        ("10.0.0.7", 5432, True),
        ("10.0.0.70", 5432, False),
        ("::1", 8000, True),
        ("0:0:0:0:0:0:0:1", 8000, True),
        ("big.example.net", 443, True),
        ("127.0.0.1", 443, False),
        ("2130706433", 443, False),
    ],
)
def test_a_host_is_reached_where_an_entry_names_it_and_its_port(host: str, port: int, may: bool) -> None:
    assert (entry_for(LIST, host, port) is not None) is may


@pytest.mark.parametrize(
    "text",
    ["", "*", "a b", "http://x.org", "x.org:0", "x.org:99999", "*.*.org", "localhost", "::1", "127.0.0.1", "x_.org/a"],
)
def test_what_is_no_host_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"no host|name a port"):
        parse(text)


@given(st.text(string.printable, max_size=60))
def test_nothing_in_a_list_makes_it_fall_over(text: str) -> None:
    try:
        entry = parse(text)
    except ValueError:
        return
    assert entry.host and all(0 < port < 65_536 for port in entry.ports)


@pytest.mark.parametrize(
    ("entry", "address", "astray"),
    [
        ("api.example.org", "93.184.216.34", False),
        ("api.example.org", "127.0.0.1", True),
        ("api.example.org", "169.254.169.254", True),
        ("api.example.org", "::ffff:127.0.0.1", True),
        ("api.example.org", "0.0.0.0", True),
        ("git.corp.example", "10.1.2.3", False),
        ("*.example.org", "10.1.2.3", True),
        ("*.example.org", "fd00::1", True),
        ("10.0.0.7:5432", "10.0.0.7", False),
        ("127.0.0.1:8000", "127.0.0.1", False),
    ],
)
def test_a_name_does_not_lead_to_this_machine_nor_a_pattern_into_a_private_network(
    entry: str, address: str, astray: bool
) -> None:
    found = address_of(address)
    assert found is not None
    assert bool(leads_astray(parse(entry), found)) is astray


async def test_a_name_that_leads_astray_is_not_called() -> None:
    async def look(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(RefusedWayError, match="this machine's own"):
        await connect(Goal("rebinding.example.org", port), parse(f"rebinding.example.org:{port}"), look)
    _, writer = await connect(Goal("127.0.0.1", port), parse(f"127.0.0.1:{port}"), look)
    writer.close()
    server.close()


def test_a_request_goes_on_alone_and_without_what_is_for_the_proxy() -> None:
    assert goal_of(b"CONNECT api.example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n") == Goal("api.example.org", 443)
    found = goal_of(
        b"GET http://api.example.org:81/a?b=c HTTP/1.1\r\nHost: api.example.org\r\nProxy-Authorization: Basic x\r\n"
        b"Connection: keep-alive, upgrade\r\nUpgrade: h2c\r\nAccept: */*\r\n\r\n"
    )
    assert (found.host, found.port) == ("api.example.org", 81)
    assert found.head == b"GET /a?b=c HTTP/1.1\r\nHost: api.example.org\r\nAccept: */*\r\nConnection: close\r\n\r\n"


@given(st.binary(max_size=200))
def test_no_request_makes_it_fall_over(head: bytes) -> None:
    try:
        goal = goal_of(head + b"\r\n\r\n")
    except ValueError:
        return
    assert goal.host and goal.port


def test_a_pass_is_believed_where_this_home_has_signed_it(tmp_path: Path) -> None:
    key = key_of(tmp_path)
    assert key_of(tmp_path) == key, "the next engine knows it"
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [KEY]
    word = sign(key, Pass(7, "claude", "/src/api", 3))
    assert read(key, word) == Pass(7, "claude", "/src/api", 3)
    body, _, mark = word.partition(".")
    for wrong in (f"{body}.", body, f"{body[:-1]}A.{mark}", sign(b"other", Pass(7, "claude")), "", "é.é"):
        assert read(key, wrong) is None, wrong


def test_what_is_wrong_with_a_list_is_said_where_it_stands() -> None:
    settings = Settings(
        agents={
            "codex": AgentSettings(sandbox=SandboxSettings(network=["api.example.org", "localhost"])),
            "claude": AgentSettings(sandbox=SandboxSettings(network=False)),
        },
        accounts={"work": AccountSettings(agent="claude", tap=True)},
    )
    found = dict(complaints(settings))
    assert "name a port" in found["agents", "codex", "sandbox", "network", 1]
    assert "network: []" in found["accounts", "work", "tap"]
