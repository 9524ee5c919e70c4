"""The process of one model call: `python -I -m engine.agents.llm.call FILE`.

It reads what to ask from FILE, asks once, and prints lines (`engine.agents.llm.lines`). It knows no queue: whoever
reads its lines decides what follows. Only what fails in the first moments, before a word was said and with an error
that passes by itself, is asked again here.
"""

from __future__ import annotations

import importlib.metadata
import os
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import msgspec
from msgspec.structs import replace

from engine.agents.base import RESULT_LIMIT
from engine.agents.llm import answer, limits
from engine.agents.llm.asking import Asked, Ended, Trouble
from engine.agents.llm.failures import WORDS, Verdict, judge
from engine.agents.llm.lines import (
    FORMAT,
    Call,
    ErrorLine,
    LimitsLine,
    ResultLine,
    RetryLine,
    StartLine,
    UsageLine,
    Window,
)
from engine.agents.llm.speech import Speech, whole
from engine.model import Failure, Usage
from engine.window import UNNAMED

RETRIES = 2  #: of a call that failed at once; everything longer is the engine's to wait for
FIRST_DELAY_SECONDS = 0.5
PASSING = frozenset({408, 500, 502, 504})  #: not 503 and 529: who is overloaded is not to be asked again at once

USAGE_SECONDS = 2.0  #: between two lines that tell what has been used so far

HINT = "pip install 'headway[llm]'"


def main(arguments: list[str]) -> int:
    """Ask, and return the exit code: 0 where there is an answer to use."""
    file = Path(arguments[0])
    call = msgspec.json.decode(file.read_bytes(), type=Call)
    key = os.environ.get(call.key, "")
    return _Attempt(call, key, Speech(sys.stdout.buffer, key), file.parent).run()


class _Attempt:
    def __init__(self, call: Call, key: str, say: Speech, directory: Path) -> None:
        self._call = call
        self._key = key
        self._say = say
        self._directory = directory
        self._schema: answer.Schema | None = None
        self._usage: Usage | None = None
        self._told: Usage | None = None
        self._told_at = 0.0

    def run(self) -> int:
        call = self._call
        try:
            voice = _voice(call.speaks)
            if call.schema is not None:
                self._schema = answer.Schema(call.schema)
        except ImportError as error:
            missing = (error.name or str(error)).partition(".")[0]
            return self._fail(Failure.SPAWN_FAILED, f"the library {missing} is not installed: {HINT}")
        except answer.SchemaError as error:
            return self._fail(Failure.SPAWN_FAILED, f"the schema is no JSON Schema: {error}")
        client = f"{voice.CLIENT} {importlib.metadata.version(voice.CLIENT)}"
        self._say.line(StartLine(FORMAT, call.provider, call.model, client))
        if not self._key and call.key_needed:
            return self._fail(Failure.AUTH, f"there is no key for {call.provider}: set {call.key}, or name an account")
        return self._ask(voice)

    def _ask(self, voice: ModuleType) -> int:
        for attempt in range(RETRIES + 1):
            try:
                ended: Ended = voice.ask(Asked(self._call, self._key, self._say, self._see, self._used))
            except Trouble as trouble:
                if attempt < RETRIES and self._passes(trouble):
                    self._wait(attempt, trouble)
                    continue
                return self._judged(trouble)
            except Exception as error:  # noqa: BLE001 - the edge of this process: what a library may raise is not known
                said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                return self._fail(Failure.UNKNOWN, f"{self._call.provider} could not be asked: {whole(said)}")
            return self._ended(ended)
        raise AssertionError("the last round returns")

    def _passes(self, trouble: Trouble) -> bool:
        if self._say.answer:
            return False
        if trouble.told is None:
            return trouble.failure is Failure.OVERLOADED
        headers = trouble.told.headers
        if "retry-after" in headers or headers.get("x-should-retry") == "false":
            return False
        return trouble.told.status in PASSING

    def _wait(self, attempt: int, trouble: Trouble) -> None:
        delay = FIRST_DELAY_SECONDS * 4**attempt * (0.5 + random.random() / 2)
        status = trouble.told.status if trouble.told else None
        self._say.line(RetryLine(attempt + 1, round(delay * 1_000), status, trouble.why[:200]))
        time.sleep(delay)

    def _see(self, headers: Mapping[str, str]) -> None:
        self._limits(headers)

    def _limits(self, headers: Mapping[str, str], verdict: Verdict | None = None) -> None:
        found = limits.windows({name.lower(): value for name, value in headers.items()}, _now())
        rejected = verdict is not None and verdict.failure is Failure.RATE_LIMITED
        until = verdict.retry_at if verdict is not None else None
        if rejected and until is not None:  # what is said outright counts first
            found = tuple(replace(one, resets_at=until) if one.remaining == 0 else one for one in found)
        found = (*found, *(verdict.quotas if verdict is not None else ()))
        if rejected and until is not None and not any(one.remaining == 0 for one in found):
            found = (*found, Window(UNNAMED, remaining=0, resets_at=until))
        if found:
            self._say.line(LimitsLine(found, rejected))

    def _used(self, usage: Usage) -> None:
        """Some providers count in every piece of an answer."""
        self._usage = usage
        if time.monotonic() - self._told_at >= USAGE_SECONDS:
            self._tell_usage()

    def _tell_usage(self) -> None:
        if self._usage is not None and self._usage != self._told:
            self._told, self._told_at = self._usage, time.monotonic()
            self._say.line(UsageLine(self._usage))

    def _judged(self, trouble: Trouble) -> int:
        told = trouble.told
        if told is None:
            return self._fail(trouble.failure, self._reason(trouble.failure, trouble.why))
        verdict = judge(told, _now())
        self._limits(told.headers, verdict)
        reason = self._reason(verdict.failure, verdict.message or trouble.why)
        request = told.headers.get("request-id") or told.headers.get("x-request-id")
        return self._fail(verdict.failure, reason, verdict, told.status, request)

    def _ended(self, ended: Ended) -> int:
        self._say.finish()
        self._tell_usage()
        text = self._say.answer
        if ended.failure is not None:
            return self._fail(ended.failure, f"{self._call.provider}: {ended.why}")
        if self._schema is not None and (problem := self._schema.problem(text)) is not None:
            return self._fail(Failure.BAD_OUTPUT, f"the answer is not as the schema says: {problem}")
        if not text.strip():
            return self._fail(Failure.BAD_OUTPUT, f"{self._call.provider}: the answer is empty ({ended.stop})")
        file = answer.keep(self._directory, text, structured=self._schema is not None)
        self._say.line(ResultLine(text[:RESULT_LIMIT], ended.stop, file, len(text)))
        return 0

    def _fail(
        self,
        failure: Failure,
        message: str,
        verdict: Verdict | None = None,
        status: int | None = None,
        request: str | None = None,
    ) -> int:
        self._say.finish()
        self._tell_usage()
        text = self._say.answer
        file = answer.keep(self._directory, text, structured=False) if text else None
        code, retry_at = (verdict.code, verdict.retry_at) if verdict else (None, None)
        self._say.line(ErrorLine(failure, message, status, code, retry_at, request, text[:RESULT_LIMIT], file))
        return 1

    def _reason(self, failure: Failure, words: str) -> str:
        return f"{self._call.provider} {WORDS.get(failure, 'failed')}: {words}".rstrip(": ")


def _voice(speaks: str) -> ModuleType:
    """The module that speaks an API, with its library loaded: that one is missing shows here."""
    if speaks == "messages":
        import anthropic  # noqa: F401

        from engine.agents.llm import messages

        return messages
    if speaks == "gemini":
        from google import genai  # noqa: F401

        from engine.agents.llm import gemini

        return gemini
    import openai  # noqa: F401

    from engine.agents.llm import chat, responses

    return responses if speaks == "responses" else chat


def _now() -> int:
    return round(time.time() * 1_000)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
