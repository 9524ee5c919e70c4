"""What reaches real servers on the loopback: signed, once, again after a failure, together, and without a key in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from engine import events as log
from engine.config import KeyReference, Settings
from engine.config.notify import ChannelSettings, NotifySettings
from engine.decision import CardKind, Choice, Reply
from engine.model import Failure
from engine.notice import ChannelKind, Message, NoticeClass
from engine.notify import notifier as module
from engine.notify.desktop import DesktopSender
from engine.notify.sending import NotSentError
from engine.permission import Policy
from engine.redact import out_of_shapes
from engine.store import answering, decisions, notices
from engine.store.cards import Asking
from tests.notify.conftest import Desk, Mail, Web
from tests.store.samples import Bench, Clock, accepted

ALL = [one.value for one in NoticeClass]
SECRET = "a-secret-of-the-hook"


def settings(**channels: ChannelSettings) -> Settings:
    tell = {about: [*channels] for about in ALL}
    return Settings(notify=NotifySettings(channels=channels, tell=tell, gather=0))


def hook(web: Web, **more: object) -> ChannelSettings:
    key = KeyReference(env="HOOK")
    return ChannelSettings(kind=ChannelKind.WEBHOOK, url=f"{web.url}/hook", key=key, **more)  # type: ignore[arg-type]


async def happen(desk: Desk, *bodies: log.AnyBody) -> None:
    await desk.store.write(lambda tx: tx.log_all([(body, None, None) for body in bodies]))


def breaker(target: str) -> log.BreakerMoved:
    return log.BreakerMoved(target, Failure.AUTH, 1 << 45)


async def test_a_webhook_is_signed_and_whoever_gets_it_can_verify_that(desk: Desk, web: Web) -> None:
    desk.environment["HOOK"] = SECRET
    await desk.start(settings(hook=hook(web)))
    await happen(desk, breaker("claude:opus"))
    (got,) = await web.wait(1)
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    made = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{made}"
    body = json.loads(got.body)
    assert (body["type"], body["data"]["uid"]) == ("headway.engine", got.headers["webhook-id"])
    assert body["data"]["title"] == "claude:opus is paused"
    await desk.delivered("sent")


async def test_ntfy_telegram_and_slack_get_what_they_take(desk: Desk, web: Web) -> None:
    desk.environment |= {
        "TOKEN": "tk_0123456789",
        "BOT": "1234:secret-of-the-bot",
        "SLACK": f"{web.url}/services/T/B/x",
    }
    await desk.start(
        settings(
            phone=ChannelSettings(kind=ChannelKind.NTFY, url=web.url, topic="mine", key=KeyReference(env="TOKEN")),
            chat=ChannelSettings(kind=ChannelKind.TELEGRAM, url=web.url, chat="42", key=KeyReference(env="BOT")),
            team=ChannelSettings(kind=ChannelKind.SLACK, key=KeyReference(env="SLACK")),
        )
    )
    await happen(desk, breaker("claude:<opus>"))
    found = {got.path: got for got in await web.wait(3)}
    assert {got.headers["x-headway-id"] for got in found.values()} == {found["/"].headers["x-headway-id"]}
    ntfy = json.loads(found["/"].body)
    assert (ntfy["topic"], ntfy["title"]) == ("mine", "claude:<opus> is paused")
    assert found["/"].headers["authorization"] == "Bearer tk_0123456789"
    telegram = json.loads(found["/bot1234:secret-of-the-bot/sendMessage"].body)
    assert telegram["chat_id"] == "42" and telegram["text"].startswith("claude:<opus> is paused\n")
    assert json.loads(found["/services/T/B/x"].body)["text"].startswith("*claude:&lt;opus&gt; is paused*")


async def test_mail_has_the_id_of_its_message(desk: Desk, mail: Mail) -> None:
    here = {"host": mail.host, "port": mail.port, "tls": "none"}
    post = ChannelSettings(kind=ChannelKind.MAIL, sender="h@here.test", to=["me@here.test"], **here)  # type: ignore[arg-type]
    await desk.start(settings(post=post))
    await happen(desk, breaker("claude:opus"))
    (got,) = await mail.wait(1)
    assert got["Subject"] == "[headway] claude:opus is paused"
    uid = await desk.store.look(lambda tx: tx.connection.execute("SELECT uid FROM notices").fetchone()[0])
    assert got["Message-ID"] == f"<{uid}@headway.invalid>"
    assert got["X-RcptTo"] == "me@here.test"
    await desk.delivered("sent")


async def test_what_fails_is_tried_again_with_the_same_id_and_what_never_will_is_given_up(
    desk: Desk, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_MS", 20)
    desk.environment["HOOK"] = SECRET
    web.answers = [500, 429, 200, 404]
    one = await desk.start(settings(hook=hook(web)))
    await happen(desk, breaker("claude:opus"))
    tried = await web.wait(3)
    assert len({got.headers["webhook-id"] for got in tried}) == 1
    await desk.delivered("sent")
    await happen(desk, breaker("claude:haiku"))
    assert await desk.delivered("failed") == [("hook", "it answered 404")]
    (line,) = (await one.status()).channels
    assert (line.sent, line.failed, line.waiting, line.why) == (1, 1, 0, "it answered 404")


async def test_an_engine_that_dies_between_sending_and_noting_it_sends_again_under_the_same_id(
    desk: Desk, web: Web
) -> None:
    desk.environment["HOOK"] = SECRET
    said = settings(hook=hook(web))
    one = desk.notifier(said)
    await desk.store.write(notices.begin)
    await happen(desk, breaker("a"), breaker("b"))
    # As far as a killed engine gets: it was queued, packed and sent, and nothing was noted of that.
    read = await desk.store.look(lambda tx: notices.read(tx, one._kinds))
    queued = [(found, [notices.Place("hook", 0, digest=True)]) for new in read.news if (found := one._notice(new))]
    await desk.store.write(lambda tx: notices.keep(tx, read, queued))
    parcel = await desk.store.write(lambda tx: notices.pack(tx, "hook"))
    assert parcel is not None and parcel.message.count == 2
    await one._try(said.notify.channels["hook"], parcel.message)
    await happen(desk, breaker("c"))
    await desk.start(said)
    first, second, third = await web.wait(3)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == parcel.message.uid
    assert json.loads(first.body)["data"] == json.loads(second.body)["data"]
    assert json.loads(third.body)["data"]["title"] == "c is paused", "and nothing is lost"
    await desk.delivered("sent", 3)


async def test_quiet_hours_end_in_one_message_and_what_is_urgent_does_not_wait(desk: Desk, web: Web) -> None:
    desk.environment["HOOK"] = SECRET
    said = settings(hook=hook(web))
    quiet = NotifySettings(channels=said.notify.channels, tell=said.notify.tell, gather=0, quiet="00:00-23:59")
    await desk.start(Settings(notify=quiet))
    await happen(desk, breaker("a"), breaker("b"), log.Escalated(1, CardKind.QUESTION, "which?", 1, 0))
    (got,) = await web.wait(1)
    assert json.loads(got.body)["type"] == "headway.escalated"
    await desk.delivered("waiting", 2)
    await desk.delivered("sent")  # else it is told again: what was not written down may not have arrived
    await desk.stop()
    await desk.store.write(lambda tx: tx.connection.execute("UPDATE deliveries SET not_before = 0"))  # it is over
    await desk.start(said)
    _, digest = await web.wait(2)
    data = json.loads(digest.body)["data"]
    assert (data["count"], data["title"]) == (2, "2 things: a is paused, ...")
    assert data["text"] == "- a is paused\n- b is paused"
    await desk.delivered("sent", 3)


async def test_the_same_is_told_once_and_too_much_goes_together_later(desk: Desk, web: Web) -> None:
    desk.environment["HOOK"] = SECRET
    await desk.start(settings(hook=hook(web, per_hour=1)))
    await happen(desk, breaker("a"), breaker("a"))
    await desk.delivered("sent")
    await happen(desk, breaker("b"), breaker("c"))
    await desk.delivered("waiting", 2)

    async def postponed() -> bool:
        sql = "SELECT count(*) FROM deliveries WHERE state = 'waiting' AND digest AND not_before > 0"
        late = await desk.store.look(lambda tx: tx.connection.execute(sql).fetchone()[0])
        return bool(late == 2)

    await desk.until(postponed)
    assert len(web.got) == 1


async def test_a_card_that_was_answered_meanwhile_is_not_told(desk: Desk, web: Web) -> None:
    desk.environment["HOOK"] = SECRET
    await desk.store.write(notices.begin)
    bench = Bench(desk.store, desk.home, Clock())
    await bench.submit(accepted(project="/api"))
    (claim,) = await bench.claim()
    asking = Asking("r1", CardKind.PERMISSION, "Bash", "git push", True, "git push", "{}")
    await desk.store.write(lambda tx: decisions.ask(tx, claim.attempt.id, asking, (), Policy()))
    reply = Reply(choice=Choice.ALLOW)
    await desk.store.write(lambda tx: answering.answer(tx, decisions.OF_AGENTS, 1, reply, "ann"))
    await desk.start(settings(hook=hook(web)))
    assert await desk.delivered("dropped") == [("hook", "card 1 was answered before")]
    assert web.got == []


async def test_no_key_is_in_what_is_told_nor_in_why_it_was_not(desk: Desk, web: Web) -> None:
    desk.environment["HOOK"] = SECRET
    desk.secrets.learn(["known-secret-value"])
    web.answers = [200, 400]
    await desk.start(settings(hook=hook(web)))
    keys = (f"sk-{'a1B2' * 8}", f"ghp_{'c3D4' * 9}")  # in pieces, so that nobody takes this file for a leak
    planted = " ".join(["known-secret-value", *keys, "token=hunter2hunter2"])
    await happen(desk, log.Asked(1, CardKind.QUESTION, "ask", f"use {planted}"))
    (got,) = await web.wait(1)
    for secret in (*planted.split(), "hunter2hunter2", SECRET):
        assert secret.encode() not in got.body, secret
    assert got.body.count(b"[key]") == 4
    await happen(desk, breaker("b"))
    assert await desk.delivered("failed") == [("hook", "it answered 400")]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("curl -H 'Authorization: Bearer abcdef123456'", "curl -H 'Authorization: Bearer [key]'"),
        ("git push https://me:pa55word@host/x", "git push https://[key]@host/x"),
        ("export AWS_SECRET=abcdefgh", "export AWS_SECRET=[key]"),
        ("--password hunter2", "--password hunter2"),
        ("the token is used up: 200k tokens", "the token is used up: 200k tokens"),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/[key]"),
        ("git push origin main", "git push origin main"),
    ],
)
def test_what_looks_like_a_key_is_left_out_of_what_leaves_the_machine(text: str, left: str) -> None:
    assert out_of_shapes(text) == left


async def test_a_channel_is_tried_and_says_why_it_cannot_be_reached(desk: Desk, web: Web, tmp_path: Path) -> None:
    one = desk.notifier(settings(hook=hook(web), desk=ChannelSettings(kind=ChannelKind.DESKTOP)))
    (missing,) = await one.test("hook")
    assert (missing.ok, missing.why) == (False, "the variable HOOK of the engine's environment holds no key")
    desk.environment["HOOK"] = SECRET
    (fine,) = await one.test("hook")
    assert fine.ok
    (got,) = await web.wait(1)
    assert got.headers["webhook-id"] == fine.uid


async def test_the_desktop_is_told_by_its_own_program(tmp_path: Path) -> None:
    message = Message(uid="ab", title="-t", text="which?", about=NoticeClass.ESCALATED, at=0)
    with pytest.raises(NotSentError, match="not on this machine"):
        await DesktopSender({"PATH": str(tmp_path)}).send(message, None)
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/said\n')
    program.chmod(0o755)
    await DesktopSender({"PATH": f"{tmp_path}:/usr/bin:/bin"}).send(message, None)
    assert (tmp_path / "said").read_text().split("\n")[1:5] == ["--urgency=critical", "--", "-t", "which?"]
