"""Channels that are a request over HTTP: ntfy, Telegram, Slack and the like, any webhook."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx
import msgspec

from engine.config.notify import NTFY, TELEGRAM, ChannelSettings
from engine.notice import ChannelKind, Message, NoticeClass
from engine.notify.sending import NotSentError

SECONDS = 20.0  #: for an answer
_LATER = frozenset({408, 425, 429})  #: of the answers 4xx, those that are no final word
_PREFIX = "whsec_"  #: before a secret in base64, as Standard Webhooks writes it

#: ntfy's priorities, from 1 to 5.
_PRIORITIES = {
    NoticeClass.ESCALATED: 5,
    NoticeClass.NEEDS_YOU: 4,
    NoticeClass.FAILED: 4,
    NoticeClass.DONE: 2,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request to be made. Its address may hold a key: it is never logged, nor told in an error."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Call({len(self.body)} bytes)"


def ntfy(channel: ChannelSettings, message: Message, key: str | None, now: int) -> Call:
    """JSON to the server's root. A sequence id of its own lets a repeated message take the place of the first."""
    body: dict[str, object] = {
        "topic": channel.topic,
        "title": message.title,
        "message": message.text or message.title,
        "priority": _PRIORITIES.get(message.about, 3),
        "tags": ["headway", message.about.value],
        "sequence_id": message.uid,
    }
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return _json(channel.url or NTFY, body, {**headers, "X-Headway-Id": message.uid})


def telegram(channel: ChannelSettings, message: Message, key: str | None, now: int) -> Call:
    text = f"{message.title}\n{message.text}\n#{message.uid[:12]}"
    body: dict[str, object] = {"chat_id": channel.chat, "text": text, "disable_notification": _quietly(message)}
    base = (channel.url or TELEGRAM).rstrip("/")
    return _json(f"{base}/bot{key}/sendMessage", body, {"X-Headway-Id": message.uid})


def slack(channel: ChannelSettings, message: Message, key: str | None, now: int) -> Call:
    """An incoming webhook, of Slack or of what takes the same."""
    call = "<!channel> " if message.loud else ""
    text = f"{call}*{_plain(message.title)}*\n{_plain(message.text)}\n_{message.uid[:12]}_"
    return _json(key or "", {"text": text}, {"X-Headway-Id": message.uid})


def webhook(channel: ChannelSettings, message: Message, key: str | None, now: int) -> Call:
    """Signed as Standard Webhooks wants it: HMAC-SHA256 over the id, the time in seconds and the body."""
    body = msgspec.json.encode({"type": f"headway.{message.about}", "timestamp": now // 1000, "data": message})
    seconds = str(now // 1000)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message.uid,
        "webhook-timestamp": seconds,
        "webhook-signature": signature(key or "", message.uid, seconds, body),
    }
    return Call(channel.url or "", body, headers)


def signature(secret: str, uid: str, seconds: str, body: bytes) -> str:
    """`v1,` and the HMAC in base64. A secret that begins with `whsec_` is base64, any other is taken as it is."""
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise NotSentError("the secret begins with whsec_, and what follows is no base64", final=True) from None
    made = hmac.digest(key, f"{uid}.{seconds}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(made).decode()}"


CALLS: dict[ChannelKind, Callable[[ChannelSettings, Message, str | None, int], Call]] = {
    ChannelKind.NTFY: ntfy,
    ChannelKind.TELEGRAM: telegram,
    ChannelKind.SLACK: slack,
    ChannelKind.WEBHOOK: webhook,
}


class WebSender:
    """A channel of one of these kinds."""

    def __init__(self, channel: ChannelSettings) -> None:
        self._channel = channel
        self._call = CALLS[channel.kind]

    async def send(self, message: Message, key: str | None) -> None:
        call = self._call(self._channel, message, key, time.time_ns() // 1_000_000)
        try:
            async with httpx.AsyncClient(timeout=SECONDS, follow_redirects=False) as http:
                answer = await http.post(call.url, content=call.body, headers=dict(call.headers))
        except httpx.TimeoutException:
            raise NotSentError(f"no answer within {SECONDS:.0f} s") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise NotSentError("its address is none", final=True) from None
        except httpx.HTTPError as error:
            raise NotSentError(f"{type(error).__name__}: it cannot be reached") from None
        if answer.is_success:
            return
        final = answer.is_redirect or (400 <= answer.status_code < 500 and answer.status_code not in _LATER)
        raise NotSentError(f"it answered {answer.status_code}", final=final, after=_seconds(answer.headers))


def _seconds(headers: httpx.Headers) -> float | None:
    """What `Retry-After` wants, where it is a number."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _json(url: str, body: dict[str, object], headers: Mapping[str, str]) -> Call:
    return Call(url, msgspec.json.encode(body), {"Content-Type": "application/json", **headers})


def _quietly(message: Message) -> bool:
    return message.about in (NoticeClass.DONE, NoticeClass.LIMIT)


def _plain(text: str) -> str:
    """Text without the signs that Slack takes for its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
