"""What an attempt runs on."""

from __future__ import annotations

from msgspec import Struct


class Target(Struct, frozen=True):
    """What an attempt runs on, written `claude:opus@work`: agent, model, account. Unset parts are the agent's own."""

    agent: str
    model: str | None = None
    account: str | None = None

    def __str__(self) -> str:
        model = f":{self.model}" if self.model else ""
        return f"{self.agent}{model}{f'@{self.account}' if self.account else ''}"

    @property
    def paid_by(self) -> str:
        """The account with its agent, as `claude@work`: whose limits an attempt meets."""
        return f"{self.agent}@{self.account}" if self.account else self.agent

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read the written form. A model may hold colons (`opencode:ollama/qwen3:8b`); an account holds no `@`."""
        head, at, account = text.strip().rpartition("@")
        agent, _, model = (head if at else account).partition(":")
        return cls(agent, model or None, account if at else None)
