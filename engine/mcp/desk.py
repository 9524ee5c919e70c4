"""Where the calls of agents are taken: whose they are, whether they may, and how they were answered."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from engine.errors import HeadwayError, RefusedError, UsageError
from engine.foreign import NOT_JSON
from engine.mcp.asking import Questions
from engine.mcp.caller import Caller, Handler
from engine.mcp.capability import Grants
from engine.mcp.tools import TAKES, Arguments, AskOperator
from engine.model import Tool
from engine.plain import plain, plain_line
from engine.redact import Secrets
from engine.store import Store, Transaction, tools
from engine.store.tools import Answered, Called

logger = logging.getLogger(__name__)

SAID = 200  #: characters of what the log tells of a call
ANSWER = 24_000  #: characters of an answer
CALL = 64  #: characters of a call's name
AT_ONCE = 8  #: calls of an attempt that wait at the same time
STRANGER = "this capability is good for nothing, or not any more: the attempt that it was for has ended"


class Desk:
    """One for an engine."""

    def __init__(
        self,
        grants: Grants,
        store: Store,
        secrets: Secrets,
        questions: Questions,
        handlers: Mapping[Tool, Handler],
    ) -> None:
        self._grants = grants
        self._store = store
        self._secrets = secrets
        self.questions = questions
        self._handlers = handlers
        self._at_once: Counter[int] = Counter()

    def attempt_of(self, token: str) -> int | None:
        """The attempt that a token is for; None where it is good for nothing, or not any more."""
        grant = self._grants.of(token)
        return None if grant is None else grant.attempt

    async def call(self, token: str, call: str, tool: str, arguments: Raw) -> Answered:
        """Answer a call. Never raises: what is wrong is said to who called."""
        grant = self._grants.of(token)
        if grant is None:
            return Answered(False, STRANGER)
        caller = Caller(grant, call[:CALL])
        if tool not in grant.tools:
            return Answered(False, f"there is no tool {plain_line(tool, 40)!r} for this job")
        before = await self._store.look(lambda tx: tools.answer_of(tx, grant.attempt, caller.call))
        if before is not None:
            return before
        if wait := grant.pace.take(time.monotonic()):
            return Answered(False, f"too many calls: wait {wait:.0f} s, and call less often")
        if self._at_once[grant.attempt] >= AT_ONCE:
            return Answered(False, f"{AT_ONCE} calls of this job wait already: wait for their answers")
        self._at_once[grant.attempt] += 1
        try:
            return await self._answer(caller, Tool(tool), arguments)
        finally:
            self._at_once[grant.attempt] -= 1
            if not self._at_once[grant.attempt]:
                del self._at_once[grant.attempt]

    async def cancel(self, token: str, call: str, tool: str, arguments: Raw) -> None:
        """The agent does not wait for a call any more."""
        grant = self._grants.of(token)
        if grant is None or tool != Tool.ASK_OPERATOR:
            return
        caller = Caller(grant, call[:CALL])
        try:
            given = msgspec.json.decode(arguments, type=AskOperator)
            await self._store.write(lambda tx: self.questions.withdraw(tx, caller, given))
        except (HeadwayError, *NOT_JSON):
            return  # it has ended, or was never asked

    async def _answer(self, caller: Caller, tool: Tool, arguments: Raw) -> Answered:
        said, given = "", None
        try:
            given = _read(tool, arguments)
            said = self._said(given)
            answer = Answered(True, (await self._handlers[tool](caller, given))[:ANSWER])
        except HeadwayError as error:
            answer = Answered(False, error.message)
        except Exception as error:
            logger.exception("job %d: the tool %s failed", caller.job, tool)
            answer = Answered(False, f"a defect of Headway: {type(error).__name__}; go on without it")
        called = Called(caller.attempt, caller.call, tool, said if answer.ok else plain_line(answer.text, SAID))

        def note(tx: Transaction) -> None:
            tools.note(tx, called, answer)
            if isinstance(given, AskOperator):
                self.questions.told(tx, caller, given)

        try:
            await self._store.write(note)
        except HeadwayError as error:
            return Answered(False, error.message if isinstance(error, RefusedError) else "Headway cannot write now")
        return answer

    def _said(self, given: Arguments) -> str:
        """What is asked, in one line: the first words among the arguments."""
        words = (getattr(given, name) for name in given.__struct_fields__)
        first = next((one for one in words if isinstance(one, str) and one), "")
        return self._secrets.out_of(plain_line(first, SAID))


def _read(tool: Tool, arguments: Raw) -> Arguments:
    try:
        return msgspec.json.decode(arguments, type=TAKES[tool])
    except NOT_JSON as error:
        raise UsageError(f"{tool}: {plain(str(error)).strip()}") from None
