"""A stand-in for codex that calls its provider as told, says nothing while it waits, and never what it was answered."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request

base = next(word.partition("=")[2] for word in sys.argv if word.startswith("openai_base_url="))
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


def ask(number: int) -> int:
    """One call; its status, 0 where nobody answered. Waits as a refusal says, where that is not for long."""
    request = urllib.request.Request(
        f"{json.loads(base)}/responses",
        json.dumps({"prompt": os.environ["PLANTED"], "number": number}).encode(),
        {"authorization": f"Bearer {os.environ['CODEX_API_KEY']}", "content-type": "application/json"},
    )
    try:
        with opener.open(request, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.read()
        wait = float(error.headers.get("retry-after") or 0)
        time.sleep(wait if wait < 60 else 0)
        return error.code
    except OSError:
        time.sleep(0.05)
        return 0


say(type="thread.started", thread_id="01a223bc-8899-71a3-a193-6c30be129cd1")
with open(os.environ["SAW"], "w") as file:  # noqa: PTH123
    file.write(os.environ["CODEX_API_KEY"])
calls, done = int(os.environ.get("CALLS", "1")), 0
while done < calls:
    status = ask(done)
    if status == 200:
        done += 1
    elif status not in (0, 429, 502, 503) or (status == 429 and os.environ.get("GIVES_UP")):
        say(type="turn.failed", error={"message": f"exceeded retry limit, last status: {status}"})
        sys.exit(1)
say(type="item.completed", item={"id": "1", "type": "agent_message", "text": "done"})
say(type="turn.completed", usage={"input_tokens": 1, "cached_input_tokens": 0, "output_tokens": 1})
