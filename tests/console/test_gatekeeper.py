"""Who may see the console in a browser."""

from __future__ import annotations

import pytest

from console.gatekeeper import Gatekeeper, Verdict

KEEPER = Gatekeeper("right", 8377)
HERE = {"Host": "127.0.0.1:8377"}
PAGE = {**HERE, "Origin": "http://127.0.0.1:8377", "Cookie": "headway=right"}


@pytest.mark.parametrize(
    ("headers", "token", "socket", "verdict"),
    [
        (HERE, "right", False, Verdict.SIGNED_IN),
        (HERE, "wrong", False, Verdict.STRANGER),
        (HERE, "", False, Verdict.STRANGER),
        (HERE, None, False, Verdict.STRANGER),
        ({**HERE, "Cookie": "headway=right"}, None, False, Verdict.COME_IN),
        ({**HERE, "Cookie": "a=b; headway=right; c=d"}, None, False, Verdict.COME_IN),
        ({**HERE, "Cookie": "headway=wrong"}, None, False, Verdict.STRANGER),
        ({**HERE, "Cookie": "headway=rig\xe4t"}, None, False, Verdict.STRANGER),
        (PAGE, None, True, Verdict.COME_IN),
        ({**PAGE, "Host": "localhost:8377", "Origin": "http://localhost:8377"}, None, True, Verdict.COME_IN),
        ({**PAGE, "Cookie": ""}, None, True, Verdict.STRANGER),
        ({**PAGE, "Cookie": ""}, "right", True, Verdict.STRANGER),
        ({**PAGE, "Host": "evil.example:8377"}, None, False, Verdict.WRONG_PLACE),
        ({**PAGE, "Host": "127.0.0.1:9000"}, None, False, Verdict.WRONG_PLACE),
        ({**PAGE, "Host": ""}, "right", False, Verdict.WRONG_PLACE),
        ({**PAGE, "Origin": "http://evil.example"}, None, True, Verdict.WRONG_PLACE),
        ({**PAGE, "Origin": "http://127.0.0.1:9000"}, None, True, Verdict.WRONG_PLACE),
        ({**PAGE, "Origin": "null"}, None, True, Verdict.WRONG_PLACE),
        ({**HERE, "Cookie": "headway=right"}, None, True, Verdict.WRONG_PLACE),
        ({**HERE, "Cookie": "headway=right", "Sec-Fetch-Site": "cross-site"}, None, False, Verdict.WRONG_PLACE),
    ],
)
def test_it_lets_in_who_has_the_token_from_our_page(
    headers: dict[str, str], token: str | None, socket: bool, verdict: Verdict
) -> None:
    assert KEEPER.judge(headers, token, socket=socket) is verdict
