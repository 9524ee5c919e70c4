"""What a stand-in prints: the lines of Claude Code 2.1, as long as they were in recordings, each with its time.

A turn is one call of a model and ten lines: words, four calls of a tool with their results, and a thought. Each line
says `e<number> <nanoseconds>` where a reader of the engine's streams finds it again.
"""

from __future__ import annotations

import re

TURN = 10  #: lines of one call of the model
CALLS = 4  #: of a tool, in each of them
SHOWN = (0, 1, 3, 5, 7)  #: of the ten, those that change the one line in which a list shows what an agent does
INPUT, OUTPUT = (
    1_200,
    40,
)  #: tokens of a turn; its lines tell one of the output, as claude's do, and its result the rest
STAMP = re.compile(r"e(\d+) (\d+)")

_MODEL = "claude-haiku-4-5"
_USAGE = (
    '"usage":{"input_tokens":1200,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":'
    '{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}'
)
_TAIL = (
    '"parent_tool_use_id":null,"session_id":"{session}","uuid":"e17e4481-5451-4094-9bcb-{number:012d}",'
    '"timestamp":"2026-11-22T07:34:04.199Z"'
)
_INIT = (
    '{{"type":"system","subtype":"init","cwd":"/workspace","session_id":"{session}","tools":["Task","Bash"],'
    '"mcp_servers":[],"model":"{model}","permissionMode":"default","apiKeySource":"none",'
    '"claude_code_version":"2.1.330","output_style":"default"}}\n'
)
_SAID = (
    '{{"type":"assistant","message":{{"id":"{message}","type":"message","role":"assistant","model":"{model}","content":'
    '[{block}],"stop_reason":null,"stop_sequence":null,{usage},"context_management":null}},{tail},'
    '"request_id":"req_{number}"}}\n'
)
_HEARD = (
    '{{"type":"user","message":{{"role":"user","content":[{{"tool_use_id":"{call}","type":"tool_result","content":'
    '"{words}","is_error":false}}]}},{tail},"tool_use_result":{{"stdout":"{words}","stderr":"","interrupted":false,'
    '"isImage":false,"noOutputExpected":false}}}}\n'
)
_RESULT = (
    '{{"type":"result","subtype":"success","is_error":false,"duration_ms":1000,"num_turns":{turns},"result":"done",'
    '"session_id":"{session}","total_cost_usd":0.01,"usage":{{"input_tokens":{told},"output_tokens":{said}}},'
    '"modelUsage":{{"{model}":{{"inputTokens":{told},"outputTokens":{said},"cacheReadInputTokens":0,'
    '"cacheCreationInputTokens":0,"costUSD":0.01,"contextWindow":200000,"canonicalModel":"{model}"}}}},'
    '"permission_denials":[],"uuid":"d9e9d773-b201-4c6a-b6b6-{number:012d}"}}\n'
)
_FILL = " ".join(["ok, that is what the file has to say of it"] * 12)


class Script:
    """One agent's part."""

    def __init__(self, agent: int) -> None:
        self._agent = agent
        self._session = f"00000000-0000-4000-8000-{agent:012d}"

    def first(self) -> bytes:
        return _INIT.format(session=self._session, model=_MODEL).encode()

    def line(self, number: int, now: int) -> bytes:
        """Line `number` of the stream, from 0, written at `now`, in nanoseconds."""
        turn, place = divmod(number, TURN)
        stamp = f"e{number} {now}"
        tail = _TAIL.format(session=self._session, number=number)
        call = f"toolu_{self._agent}_{turn}_{(place - 1) // 2}"
        if place and place < TURN - 1 and place % 2 == 0:
            return _HEARD.format(call=call, words=f"{stamp} {_FILL}", tail=tail).encode()
        if place == 0:
            block = f'{{"type":"text","text":"{stamp} {_FILL[:120]}"}}'
        elif place == TURN - 1:
            block = f'{{"type":"thinking","thinking":"{stamp} {_FILL[:120]}","signature":"{"c" * 90}"}}'
        else:
            block = (
                f'{{"type":"tool_use","id":"{call}","name":"Bash","input":{{"command":"{stamp}",'
                '"description":"Look at what is there"}}'
            )
        message = f"msg_{self._agent}_{turn}"
        return _SAID.format(message=message, model=_MODEL, block=block, usage=_USAGE, tail=tail, number=number).encode()

    def last(self, lines: int) -> bytes:
        """The result, after so many lines."""
        turns = -(-lines // TURN)
        return _RESULT.format(
            turns=turns, session=self._session, told=turns * INPUT, said=turns * OUTPUT, model=_MODEL,
            number=self._agent,
        ).encode()  # fmt: skip
