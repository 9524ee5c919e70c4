"""What every player does alike: it goes through the steps of a scenario, edits and runs for real, and takes signals."""
# pathlib and os.getcwd's friends would cost half the start:
# ruff: noqa: PTH109, PTH118

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import time
from select import poll

from engine.rehearsal.players.bill import Bill, Call
from engine.rehearsal.players.files import lay_out
from engine.rehearsal.players.wire import dumps, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from engine.rehearsal.players.wire import Json

OUTPUT_LIMIT = 30_000  #: characters of a command's output that the model is told
ANSWER = 180  #: tokens of a block where the scenario gives none


class Stopped(Exception):  # noqa: N818 - no error, an order
    """A signal asked for the end."""


class Ended(Exception):  # noqa: N818
    """The run is over, with this exit code."""


class Run:
    """How a player was started. `sessions` is where it keeps its conversations, if anywhere; `asks`: it can be
    answered on standard input."""

    def __init__(
        self,
        session: str | None,
        *,
        resumed: bool,
        pace: float,
        sessions: str | None,
        model: str | None,
        asks: bool = False,
    ):
        self.session, self.resumed, self.pace, self.sessions, self.model = session, resumed, pace, sessions, model
        self.asks = asks


class Player:
    """One run of a scenario. A format says what is printed; only the model is made up."""

    ORDERS: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)
    """Signals that `stopped` answers; the others end it where it stands, as the kernel does."""

    def __init__(self, scenario: Json, run: Run) -> None:
        self.scenario, self.run, self.resumed = scenario, run, run.resumed
        self.shapes: Json = scenario["stream"]
        self.steps: list[Json] = (scenario["resumed"] if run.resumed else []) or scenario["steps"]
        self.model: str = run.model or scenario["model"]
        self.cwd = os.getcwd()
        self.began = time.monotonic()
        self.context: int = scenario["context"]
        self.cached = 0
        self.bill = Bill(scenario["price"])
        self.open: Call | None = None
        self.child = 0
        self.said = ""

    # What a format says.

    def refuse(self, kind: str, words: str) -> NoReturn:
        """End before the first line: `refused` for a wrong command line, `lost` for a session that is not there."""
        raise NotImplementedError

    def begin(self) -> None:
        """The first lines."""
        raise NotImplementedError

    def finish(self) -> None:
        """The last ones, of a run that is done."""
        raise NotImplementedError

    def fail(self, kind: str, step: Json) -> None:
        raise NotImplementedError

    def stopped(self, number: int) -> int:
        """Answer a signal of `ORDERS`, and say with which code to end."""
        raise NotImplementedError

    # What all of them do.

    def put(self, line: Json) -> None:
        write(1, dumps(line) + b"\n")

    def complain(self, words: str) -> None:
        write(2, words.encode() + b"\n")

    def pause(self, ms: float) -> None:
        if ms and self.run.pace:
            time.sleep(ms * self.run.pace / 1000)

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def path(self, step: Json) -> str:
        return os.path.join(self.cwd, step["path"])

    def think(self, tokens: int | None, *, reasoned: bool = False) -> Call:
        """Words of the model. The first after a tool's result belong to a new call of it."""
        call = self.open
        if call is None:
            call = self.open = Call(self.cached, max(0, self.context - self.cached))
            self.bill.call(call.read, call.written)
            self.cached = self.context
            self.called(call)
        output = tokens or ANSWER
        call.output, call.reasoned = call.output + output, call.reasoned + (output if reasoned else 0)
        self.bill.output += output
        self.context += output
        return call

    def called(self, call: Call) -> None:
        """A call of the model has begun."""

    def told(self, content: str) -> None:
        """The model is told what a tool has found."""
        self.context += len(content) // 4 + 40

    def do_fail(self, step: Json) -> None:
        kind = step["kind"]
        if kind == "exit":
            raise Ended(step["code"])
        if kind == "crash":
            os.kill(os.getpid(), step["signal"])
        while kind in ("crash", "hang"):
            time.sleep(3600)
        self.fail(kind, step)

    def shell(self, command: str, timeout: float) -> tuple[str, int]:
        """Run a command in a session of its own, as the agents do. Returns what it printed and its exit code."""
        inner, outer = os.pipe()
        files = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, outer, 1),
            (os.POSIX_SPAWN_DUP2, outer, 2),
        ]
        orders = [signal.SIGTERM, signal.SIGINT]
        argv = ["sh", "-c", command]
        signal.pthread_sigmask(signal.SIG_BLOCK, orders)  # none may come before it is known whom to take along
        self.child = pid = os.posix_spawn(
            "/bin/sh", argv, os.environ, file_actions=files, setsid=True, setsigdef=orders, setsigmask=[]
        )
        signal.pthread_sigmask(signal.SIG_UNBLOCK, orders)
        os.close(outer)
        output, note, ends = b"", "", time.monotonic() + timeout / 1000
        ready = poll()
        ready.register(inner)
        while ready.poll(max(0.0, (ends - time.monotonic()) * 1000)):
            chunk = os.read(inner, 65536)
            if not chunk:
                break
            output = (output + chunk)[: 4 * OUTPUT_LIMIT]
        else:
            note = f"\nCommand timed out after {timeout / 1000:g}s"
            os.killpg(pid, signal.SIGTERM)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.child = 0
        os.close(inner)
        text = output.decode(errors="replace")[:OUTPUT_LIMIT].rstrip("\n")
        return text + note, code if code >= 0 else 128 - code

    def kill_tool(self) -> bool:
        """Take a running tool along. Returns whether there was one."""
        if not self.child:
            return False
        try:
            os.killpg(self.child, signal.SIGKILL)
        except OSError:
            return False
        return True

    def perform(self, steps: list[Json]) -> None:
        for step in steps:
            self.pause(step["pause"])
            getattr(self, "do_" + step["do"])(step)

    def start(self) -> None:
        first = self.steps[0]
        if first["do"] == "fail" and first["kind"] in ("refused", "lost"):
            self.refuse(first["kind"], first["text"])
        lay_out(self.scenario["files"])
        self.begin()

    def play(self) -> int:
        """Play the scenario and return the exit code."""
        try:
            self.listen()
            self.start()
            self.perform(self.steps)
            self.finish()
        except Stopped as order:
            for number in self.ORDERS:
                signal.signal(number, signal.SIG_IGN)
            return self.stopped(order.args[0])
        except Ended as end:
            return int(end.args[0])
        return 0

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            answer = _stop if number in self.ORDERS else signal.SIG_DFL
            signal.signal(number, signal.SIG_IGN if self.scenario["deaf"] else answer)


def _stop(number: int, frame: object) -> None:
    raise Stopped(number)
