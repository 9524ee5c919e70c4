"""Mail by SMTP, from the standard library, in a thread."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, localtime

from engine.config.notify import SMTP_PORTS, ChannelSettings
from engine.notice import Message
from engine.notify.sending import NotSentError

SECONDS = 30.0  #: for each answer of the server


def written(channel: ChannelSettings, message: Message) -> EmailMessage:
    """The mail. Its Message-ID is the message's own, so that a repeated one is known as such."""
    mail = EmailMessage()
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.to)
    mail["Subject"] = f"[headway] {message.title}"
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = f"<{message.uid}@headway.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    if message.loud:
        mail["Importance"] = "high"
    mail.set_content(f"{message.text or message.title}\n")
    return mail


class MailSender:
    """A channel of the kind `mail`."""

    def __init__(self, channel: ChannelSettings) -> None:
        self._channel = channel

    async def send(self, message: Message, key: str | None) -> None:
        await asyncio.to_thread(self._send, written(self._channel, message), key)

    def _send(self, mail: EmailMessage, password: str | None) -> None:
        channel = self._channel
        try:
            with self._connect() as server:
                if channel.user is not None and password is not None:
                    server.login(channel.user, password)
                server.send_message(mail, from_addr=channel.sender, to_addrs=channel.to)
        except smtplib.SMTPAuthenticationError as error:
            raise NotSentError(f"the server refuses the login ({error.smtp_code})", final=True) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            raise NotSentError(
                f"the server takes none of the addresses ({min(codes)})", final=min(codes) >= 500
            ) from None
        except smtplib.SMTPResponseException as error:
            raise NotSentError(f"the server answered {error.smtp_code}", final=error.smtp_code >= 500) from None
        except smtplib.SMTPNotSupportedError:
            raise NotSentError(f"the server knows no {channel.tls} or no login; see tls:", final=True) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotSentError(f"{type(error).__name__}: it cannot be reached") from None

    def _connect(self) -> smtplib.SMTP:
        channel = self._channel
        host, port = channel.host or "localhost", channel.port or SMTP_PORTS[channel.tls]
        context = ssl.create_default_context()
        if channel.tls == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context)
        server = smtplib.SMTP(host, port, timeout=SECONDS)
        if channel.tls == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server
