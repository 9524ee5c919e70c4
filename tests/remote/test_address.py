"""Where an engine on the network is, and what belongs to it, as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.remote.address import PORT, Address, read_address

TOKEN = {"HEADWAY_TOKEN": "hwt_x"}
PIN = "0f" * 32


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("https://build.example", "build.example", PORT),
        ("https://build.example:8443/", "build.example", 8443),
        ("https://[2001:db8::1]:9", "2001:db8::1", 9),
        ("HTTPS://10.0.0.7", "10.0.0.7", PORT),
    ],
)
def test_an_address_is_read_and_written(text: str, host: str, port: int) -> None:
    found = read_address(text, TOKEN)
    assert (found.host, found.port, found.token) == (host, port, "hwt_x")
    assert read_address(str(found), TOKEN) == found
    assert "hwt_x" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://build.example", "over TLS only"),
        ("https://", "write https://HOST:PORT"),
        ("https://me:secret@build.example", "//...@build.example: write https"),
        ("https://build.example/v1/jobs", "write https://HOST:PORT"),
        ("https://build.example?token=hwt_x", "write https://HOST:PORT"),
        ("https://build.example:0", "write https://HOST:PORT"),
        ("https://build.example:99999", "Port out of range"),
        ("https://[::1", "Invalid IPv6"),
    ],
)
def test_what_is_no_address_says_why(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_address(text, TOKEN)
    assert said in caught.value.message and "secret" not in caught.value.message


def test_the_token_and_what_is_trusted_come_by_option_or_by_environment(tmp_path: Path) -> None:
    file, signs = tmp_path / "token", tmp_path / "ca.pem"
    file.write_text("hwt_file\n")
    signs.touch()
    url = "https://x"
    there = Address("x", PORT, "hwt_file", PIN, signs)
    environment = {
        "HEADWAY_TOKEN_FILE": str(file),
        "HEADWAY_FINGERPRINT": f"SHA256:{PIN}",
        "HEADWAY_CA_FILE": str(signs),
    }
    assert read_address(url, environment) == there
    assert read_address(url, {**environment, "HEADWAY_TOKEN": "hwt_near"}).token == "hwt_near"
    assert read_address(url, TOKEN, file, ":".join([PIN[:2]] * 32), signs) == there
    for wrong in ({}, {"HEADWAY_TOKEN": " "}, {"HEADWAY_TOKEN": "two words"}, {"HEADWAY_TOKEN": "a\nb"}):
        with pytest.raises(UsageError, match="token"):
            read_address(url, wrong)
    with pytest.raises(UsageError, match=r"--token-file: .*No such file"):
        read_address(url, {}, tmp_path / "gone")
    with pytest.raises(UsageError, match="headway server certificate"):
        read_address(url, TOKEN, fingerprint="abcd")
    with pytest.raises(UsageError, match="is not there"):
        read_address(url, TOKEN, ca_file=tmp_path / "gone")
