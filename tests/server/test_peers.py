"""How much of the engine an address, or a token, may have."""

from __future__ import annotations

import pytest

from engine.config.server import refused
from engine.server.peers import (
    ALL_CONNECTIONS,
    FORGOTTEN_AFTER,
    FREE_FAILURES,
    LONGEST_PUT_OFF,
    REMEMBERED,
    Peers,
    network_of,
)


def test_an_address_has_so_many_connections() -> None:
    peers = Peers(requests=1_000, connections=2)
    assert [peers.admit("10.0.0.7", 0), peers.admit("10.0.0.7", 0), peers.admit("10.0.0.7", 0)] == [True, True, False]
    assert peers.admit("10.0.0.8", 0)
    peers.left("10.0.0.7")
    assert peers.admit("10.0.0.7", 0)


def test_all_addresses_together_have_so_many() -> None:
    peers = Peers(requests=1_000, connections=1)
    for number in range(ALL_CONNECTIONS):
        assert peers.admit(f"10.0.{number >> 8}.{number & 255}", 0)
    assert not peers.admit("10.1.0.0", 0)
    peers.left("10.0.0.0")
    assert peers.admit("10.1.0.0", 0)


def test_an_address_comes_so_often_in_a_minute() -> None:
    peers = Peers(requests=3, connections=100)
    came = []
    for _ in range(5):
        came.append(peers.admit("10.0.0.7", 0))
        if came[-1]:
            peers.left("10.0.0.7")
    assert came == [True] * 3 + [False] * 2
    assert peers.admit("10.0.0.7", 20.5)


def test_the_wrong_tokens_of_an_address_put_it_off_longer_and_longer() -> None:
    peers = Peers(requests=1_000, connections=2)
    now = 100.0
    for _ in range(FREE_FAILURES):
        assert peers.put_off("10.0.0.7", now) == 0
    waits = []
    for _ in range(12):
        assert peers.put_off("10.0.0.7", now) == 0  # it was looked at, and was wrong
        waits.append(peers.put_off("10.0.0.7", now))
        now += waits[-1]
    assert waits[:6] == [1, 2, 4, 8, 16, 32] and waits[-1] == LONGEST_PUT_OFF
    assert peers.put_off("10.0.0.8", now) == 0
    now += FORGOTTEN_AFTER + LONGEST_PUT_OFF + 1
    for _ in range(FREE_FAILURES):
        assert peers.put_off("10.0.0.7", now) == 0
    assert peers.put_off("10.0.0.7", now) == 0 and peers.put_off("10.0.0.7", now) == 1


def test_a_million_addresses_take_no_more_room_than_a_few_thousand() -> None:
    peers = Peers(requests=1_000, connections=2)
    for number in range(3 * REMEMBERED):
        peers.put_off(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0)
    assert len(peers._failed._kept) == REMEMBERED


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("?", "?"),
    ],
)
def test_one_subscriber_is_one(address: str, counts_as: str) -> None:
    assert network_of(address) == counts_as


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:7433", "[::1]:7433", "build.example:65535"])
def test_a_place_to_listen_at(listen: str) -> None:
    assert not refused(listen)


@pytest.mark.parametrize("listen", ["7433", ":7433", "host", "host:", "host:http", "host:70000", "::1:7433", "h:-1"])
def test_no_place_to_listen_at(listen: str) -> None:
    assert refused(listen)
