"""Addresses of engines elsewhere, and the ssh that each becomes."""

from __future__ import annotations

import shlex

import pytest

from engine.errors import UsageError
from engine.remote.place import Place, read_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ssh://hal", Place("hal")),
        ("ssh://ops@hal:2222", Place("ops@hal", 2222)),
        ("ssh://Build-Box_1/", Place("Build-Box_1")),
        ("ssh://hal/srv/headway", Place("hal", home="/srv/headway")),
        ("ssh://hal/~/agents", Place("hal", home="~/agents")),
        ("ssh://hal/with%20space", Place("hal", home="/with space")),
        ("ssh://ops@[fe80::1]:22/srv", Place("ops@fe80::1", 22, "/srv")),
        ("ssh://hal?headway=/opt/h/bin/headway", Place("hal", headway="/opt/h/bin/headway")),
    ],
)
def test_an_address_is_read_and_written(text: str, place: Place) -> None:
    assert read_place(text, {}) == place
    assert read_place(str(place), {}) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ssh://", "no host"), ("ssh:hal", "no host"), ("ssh://hal:port", "write it as"), ("ssh://hal:9x", "write it"),
        ("ssh://ops:secret@hal", "password"), ("ssh://hal?port=22", "there is no 'port'"),
        ("ssh://-oProxyCommand=x", "is no host"), ("ssh://hal?headway", "write it as"),
    ],
)  # fmt: skip
def test_a_wrong_address_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_place(text, {})


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        read_place("ssh://ops:secret@hal", {})
    assert "secret" not in caught.value.message


def test_the_ssh_is_the_users_own() -> None:
    place = read_place("ssh://ops@hal:2222", {"HEADWAY_SSH": "/opt/bin/ssh -F 'my config'"})
    assert place.argv("true", "-T") == ["/opt/bin/ssh", "-F", "my config", "-T", "-p", "2222", "--", "ops@hal", "true"]
    with pytest.raises(UsageError, match="HEADWAY_SSH"):
        read_place("ssh://hal", {"HEADWAY_SSH": "ssh 'open"})


def test_the_shell_there_sees_each_word_as_it_is() -> None:
    inner = shlex.split(Place("hal", home="/a b; rm").command("proxy", "--start"))
    assert inner[:2] == ["sh", "-c"]
    assert shlex.split(inner[2].partition("exec ")[2]) == ["headway", "--home", "/a b; rm", "proxy", "--start"]
    assert Place("hal", home="~/x y", headway="/opt/h").command("proxy") == "exec /opt/h --home ~/'x y' proxy"
