"""The real Gemini CLI by the Agent Client Protocol: it asks, waits over a killed engine, and hears the answer."""

from __future__ import annotations

import json
from pathlib import Path

from engine import events as log
from engine.decision import Choice, Reply
from engine.model import JobSpec, State, Verb
from engine.server.client import Client
from tests.conftest import Served, settings_file
from tests.e2e.dialects import PROMPT
from tests.e2e.model_server import ModelServer, Step, model_server
from tests.e2e.real_agents import installed


def start(served: Served, server: ModelServer, tmp_path: Path) -> None:
    own = tmp_path / "gemini-home" / ".gemini"
    own.mkdir(parents=True)
    (own / "settings.json").write_text(json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}}))
    served.env["GEMINI_API_KEY"] = "made-up"
    settings_file(
        served.home,
        f"""\
grace: 2
agents:
  acp:
    command: [{installed("gemini")}, --acp, -m, gemini-2.5-pro]
    permission: ask
    env: {{GOOGLE_GEMINI_BASE_URL: "{server.url}", GEMINI_CLI_HOME: "{own.parent}"}}
""",
    )
    served.start()


async def test_it_asks_by_the_protocol_waits_over_a_killed_engine_and_goes_on_in_its_session(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    steps = [
        Step("I run it.", run="touch made"),
        Step("And a file.", write=("hello.txt", "hello\n")),
        Step("Done."),
        Step("I know what you said before."),
    ]
    async with model_server(steps) as server:
        start(served, server, tmp_path)
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="do it", agent="acp", project=str(repository))])
            await served.until(lambda event: isinstance(event.body, log.Asked | log.Failed | log.Requeued))
            (card,) = await client.inbox()
            assert (card.tool, card.summary, card.subject) == ("execute", "touch made", "touch made")
        served.kill()
        served.start()
        async with Client(served.home) as client:
            assert await client.inbox() == [card]
            seq = (await client.status()).seq
            await client.reply(card.id, Reply(choice=Choice.ALLOW))
            await served.until(lambda event: isinstance(event.body, log.Asked), after=seq)
            (second,) = await client.inbox()
            assert (second.tool, second.subject) == ("edit", "hello.txt")
            assert "+hello" in second.diff
            await client.reply(second.id, Reply(choice=Choice.DENY, reason="no"))
            await served.until(lambda event: event.job == job and isinstance(event.body, log.Succeeded | log.Failed))
            detail = await client.job(job)
            (first,) = detail.attempts
            place = Path(first.workspace or "")
            assert (place / "made").exists()
            assert not (place / "hello.txt").exists()
            assert first.session is not None
            assert first.unknown_lines == 0
            (usage,) = first.usage
            assert usage.input_tokens == PROMPT * len(server.requests)
            prompts = sum("do it" in json.dumps(content) for content in server.requests[-1]["contents"])
            assert prompts == 1, "the prompt was given once, though two engines looked after it"
            await client.act(Verb.RETRY, [job])
            await served.until(
                lambda event: event.job == job and isinstance(event.body, log.Succeeded | log.Failed),
                after=(await client.status()).seq,
            )
            detail = await client.job(job)
    assert detail.job.state is State.SUCCEEDED
    assert detail.attempts[1].resumes == first.session
    assert detail.attempts[1].exit_code == 0
