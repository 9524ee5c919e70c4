"""Sets of things to remember, with questions and what answers them. Made of a seed: the same every time.

Each concept has several wordings. A thing is written in one, its question asked in another about half of the time, so
that neither words nor meaning alone find all of it.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import random
import warnings
from dataclasses import dataclass, field

from engine.memory.item import DAY_MS, Item, Kind, Standing

NOW = 1_790_000_000_000

SUBJECTS = (
    ("the database", "postgres", "the sql server", "the relational store"),
    ("the login page", "the sign-in form", "user authentication", "the account access screen"),
    ("the payment service", "billing", "the checkout backend", "invoice processing"),
    ("the message queue", "the broker", "the event bus", "asynchronous messaging"),
    ("the search index", "full-text lookup", "the query engine", "document retrieval"),
    ("the mobile client", "the phone app", "the android application", "the ios build"),
    ("the build pipeline", "continuous integration", "the compile job", "automated builds"),
    ("the load balancer", "the reverse proxy", "traffic routing", "the nginx gateway"),
    ("the cache", "redis", "the in-memory store", "cached entries"),
    ("the backup job", "nightly snapshots", "the archive task", "saved copies of data"),
    ("the email sender", "outgoing mail", "the smtp relay", "notification letters"),
    ("the scheduler", "cron", "periodic tasks", "timed jobs"),
    ("the web frontend", "the browser interface", "the javascript bundle", "the react pages"),
    ("the file storage", "the object bucket", "uploaded documents", "the s3 blobs"),
    ("the metrics system", "monitoring dashboards", "prometheus graphs", "telemetry charts"),
    ("the container cluster", "kubernetes", "the pod orchestration", "docker nodes"),
)
TROUBLES = (
    ("is slow", "takes too long", "has high latency", "responds sluggishly"),
    ("crashes at startup", "dies when it boots", "fails while launching", "exits during initialisation"),
    ("runs out of memory", "exhausts ram", "is killed for heap usage", "leaks allocations"),
    ("rejects valid credentials", "refuses correct passwords", "denies good tokens", "says unauthorised wrongly"),
    ("loses messages", "drops events", "misses deliveries", "discards records"),
    ("shows stale data", "returns outdated results", "serves old values", "is not refreshed"),
    ("fills the disk", "uses up all storage space", "leaves no free bytes", "grows huge files"),
    ("times out behind the firewall", "cannot connect through the network filter", "hangs on blocked ports",
     "is unreachable from the inner network"),
    ("breaks after the upgrade", "fails since the new version", "regressed with the last release",
     "stopped working on update"),
    ("writes duplicate rows", "inserts entries twice", "stores repeated records", "creates doubled lines"),
    ("has wrong time zones", "mixes up local hours", "is off by daylight saving", "shows shifted clock times"),
    ("prints unreadable characters", "garbles unicode", "shows broken encoding", "mangles accents"),
)  # fmt: skip
REMEDIES = (
    "raise the pool size in settings.toml", "restart the worker twice", "set the flag STRICT_MODE to zero",
    "clear the lock under /var/run", "pin the driver to release 4.2", "add an index on created_at",
    "rotate the certificate of the gateway", "disable prefetch in the client", "rebuild from a clean checkout",
    "move it to the larger machine", "shorten the retry interval", "turn compression off",
    "run the repair script of the platform team", "delete the temporary table", "increase the ulimit of the unit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    answers: frozenset[int]
    """Any of them answers it."""


@dataclass(frozen=True, slots=True)
class MadeSet:
    """Things and questions."""

    items: list[Item]
    questions: list[Question] = field(default_factory=list)


def make(number: int, text: str, at: int, **given: object) -> Item:
    """A fact that holds everywhere, changed by what is given."""
    usual: dict[str, object] = {"scope": "global", "kind": Kind.FACT, "created_at": at, "updated_at": at}
    return Item(id=number, text=text, **{**usual, **given})  # type: ignore[arg-type]


def noise(rng: random.Random) -> dict[str, object]:
    """Age, importance and trust that say nothing: the worst case for a score that looks at them."""
    return {
        "importance": round(rng.random(), 3),
        "use_count": rng.randrange(20),
        "verified_count": rng.randrange(4),
        "contradicted_count": rng.randrange(3),
    }


def runbook(seed: int = 1) -> MadeSet:
    """Notes on what mended what, each with the code that was printed.

    Some questions name the code, as one pastes it from a log; the others say the trouble in words of their own.
    """
    rng = random.Random(seed)
    codes = rng.sample(range(1_000, 10_000), len(SUBJECTS) * len(TROUBLES))
    items: list[Item] = []
    questions: list[Question] = []
    for subject in SUBJECTS:
        for trouble in TROUBLES:
            number, code = len(items) + 1, f"E{codes[len(items)]}"
            said, troubled = rng.randrange(4), rng.randrange(4)
            text = f"When {subject[said]} {trouble[troubled]} ({code}): {rng.choice(REMEDIES)}."
            items.append(make(number, text, NOW - rng.randrange(200 * DAY_MS), **noise(rng)))
            if rng.random() < 0.4:
                question = f"got {code} from {subject[_other(rng, said)]}, what now?"
            else:
                question = f"{subject[_other(rng, said)]} {trouble[_other(rng, troubled)]}, what helps?"
            questions.append(Question(question, frozenset({number})))
    return MadeSet(items, questions)


def _other(rng: random.Random, said: int) -> int:
    """Half of the time the same wording, else another one."""
    return said if rng.random() < 0.5 else rng.choice([n for n in range(4) if n != said])


MODULES = (
    "argparse", "ast", "asyncio", "asyncio.base_events", "asyncio.events", "asyncio.streams", "base64", "bisect",
    "calendar", "cgitb", "cmd", "codecs", "collections", "concurrent.futures", "configparser", "contextlib", "copy",
    "csv", "ctypes.util", "datetime", "decimal", "difflib", "dis", "doctest", "email", "email.message", "email.utils",
    "enum", "fileinput", "fnmatch", "fractions", "ftplib", "functools", "gettext", "glob", "gzip", "hashlib", "heapq",
    "hmac", "html", "http.client", "http.cookiejar", "http.server", "imaplib", "inspect", "io", "ipaddress",
    "itertools", "json", "linecache", "locale", "logging", "logging.handlers", "lzma", "mailbox", "math", "mimetypes",
    "multiprocessing.pool", "netrc", "os", "pathlib", "pdb", "pickle", "pickletools", "pkgutil", "platform", "plistlib",
    "poplib", "posixpath", "pprint", "profile", "pstats", "pyclbr", "queue", "random", "re", "reprlib", "sched",
    "secrets", "selectors", "shelve", "shlex", "shutil", "signal", "smtplib", "socket", "socketserver", "sqlite3",
    "ssl", "stat", "statistics", "string", "struct", "subprocess", "sysconfig", "tarfile", "tempfile", "textwrap",
    "threading", "time", "timeit", "tokenize", "traceback", "types", "typing", "unittest", "unittest.case",
    "unittest.mock", "urllib.parse", "urllib.request", "urllib.robotparser", "uuid", "warnings", "wave", "weakref",
    "webbrowser", "xml.dom.minidom", "xml.etree.ElementTree", "zipapp", "zipfile", "zipimport", "zlib", "zoneinfo",
)  # fmt: skip


def docstrings(seed: int = 4) -> MadeSet:
    """What Python's own library says of itself: the first sentence is the question, the rest the thing to be found."""
    rng = random.Random(seed)
    found: dict[str, str] = {}
    for name in MODULES:
        with contextlib.suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _gather(importlib.import_module(name), found)
    items, questions = [], []
    known = {rest: summary for summary, rest in sorted(found.items())}  # one text is the answer to one question
    for number, (rest, summary) in enumerate(known.items(), 1):
        items.append(make(number, rest, NOW - rng.randrange(200 * DAY_MS), **noise(rng)))
        questions.append(Question(summary, frozenset({number})))
    rng.shuffle(questions)
    return MadeSet(items, questions)


def _gather(module: object, found: dict[str, str]) -> None:
    waiting = [one for one in vars(module).values() if inspect.isclass(one) or inspect.isroutine(one)]
    for one in list(waiting):
        waiting += [part for part in vars(one).values() if inspect.isroutine(part)] if inspect.isclass(one) else []
    for one in waiting:
        text = inspect.cleandoc(doc) if isinstance(doc := getattr(one, "__doc__", None), str) else ""
        summary, _, rest = text.partition("\n\n")
        summary, rest = " ".join(summary.split()), " ".join(rest.split())
        if 4 <= len(summary.split()) <= 40 and 60 <= len(rest) <= 4_000:
            found.setdefault(summary, rest)


SERVICES = tuple(
    f"{first}-{second}"
    for first in ("billing", "login", "search", "mail", "report", "upload", "stream", "ledger", "quota", "audit")
    for second in ("api", "worker", "gateway", "cache", "router", "indexer", "proxy", "store", "feed")
)
ATTRIBUTES = (
    ("port", "listens on port {}", "which port does {} listen on?", ("8080", "8443", "9000", "9090", "7001", "7443")),
    ("owner", "is maintained by team {}", "which team maintains {}?",
     ("Blue", "Red", "Falcon", "Atlas", "Nova", "Cedar")),
    ("region", "is deployed in region {}", "in which region is {} deployed?",
     ("eu-west", "us-east", "ap-south", "eu-north", "us-west", "sa-east")),
    ("database", "stores its data in {}", "where does {} store its data?",
     ("postgres", "mysql", "sqlite", "mongo", "redis", "cassandra")),
)  # fmt: skip


def staleness(seed: int = 2, *, flagged: bool) -> MadeSet:
    """90 services with 4 attributes: an old value, and a newer one that contradicts it. `flagged`: that is known."""
    rng = random.Random(seed)
    items: list[Item] = []
    questions: list[Question] = []
    for service in SERVICES:
        for _, said, asked, values in ATTRIBUTES:
            old, new = rng.sample(values, 2)
            number = len(items) + 1
            before = NOW - rng.randrange(40, 200) * DAY_MS
            since = NOW - rng.randrange(0, 35) * DAY_MS
            gone: dict[str, object] = {"standing": Standing.SUPERSEDED, "superseded_by": number + 1} if flagged else {}
            older, newer = f"{service} {said.format(old)}", f"{service} {said.format(new)}"
            # As people say it: each of both in more words than it needs, or not. Age need not win against words.
            older += rng.choice(("", "", ", as the wiki says", " since the move to the new platform"))
            newer += rng.choice(("", "", ", as the wiki says", " since the move to the new platform"))
            items.append(make(number, older, before, **noise(rng), **gone))
            items.append(make(number + 1, newer, since, **noise(rng)))
            questions.append(Question(asked.format(service), frozenset({number + 1})))
    return MadeSet(items, questions)


_ASKS = ("how do we handle it when {} {}?", "somebody told me that {} {}, any idea?", "again {} {}. who knows more?")
_TALK = (
    "good morning everyone", "lunch at noon?", "I will be away on Thursday", "thanks a lot", "let us look at it later",
    "the meeting is moved to ten", "can you send me the link", "I am reading the document now", "no objections",
)  # fmt: skip


def transcripts(seed: int = 3, count: int = 60, turns: int = 24) -> MadeSet:
    """Conversations in which a question is answered in the next turn, in words that are not those of the question."""
    rng = random.Random(seed)
    items: list[Item] = []
    questions: list[Question] = []
    for number in range(count):
        at = NOW - rng.randrange(100) * DAY_MS
        subject, trouble = rng.choice(SUBJECTS), rng.choice(TROUBLES)
        asked_at = rng.randrange(2, turns - 3)
        for position in range(turns):
            text = rng.choice(_TALK)
            if position == asked_at:
                text = rng.choice(_ASKS).format(subject[0], trouble[0])
            elif position == asked_at + 1:
                text = f"{rng.choice(REMEDIES)}, that always did it for ticket {number}"
                question = f"conversation about {subject[0]} that {trouble[_other(rng, 0)]}: what did they do?"
                questions.append(Question(question, frozenset({len(items) + 1})))
            elif rng.random() < 0.3:
                text = f"{rng.choice(REMEDIES)} is what I tried elsewhere"
            items.append(
                make(
                    len(items) + 1, text, at + position * 60_000, kind=Kind.EPISODE, transcript=f"talk {number}",
                    position=position,
                )
            )  # fmt: skip
    # What several conversations are about has several answers.
    by_text: dict[str, set[int]] = {}
    for one in questions:
        by_text.setdefault(_about(one.text), set()).update(one.answers)
    return MadeSet(items, [Question(one.text, frozenset(by_text[_about(one.text)])) for one in questions])


def _about(question: str) -> str:
    subject = question.removeprefix("conversation about ").partition(" that ")[0]
    trouble = next(one[0] for one in TROUBLES if any(how in question for how in one))
    return f"{subject} {trouble}"


def crowd(seed: int, first: int, count: int) -> list[Item]:
    """Things of about 40 words, as many as are wanted, over words that are as common as those of a language."""
    rng = random.Random(seed)
    words = _words()
    weights = [1 / (rank + 8) for rank in range(len(words))]
    totals: list[float] = []
    total = 0.0
    for weight in weights:
        total += weight
        totals.append(total)
    scopes = ["global", *(f"project:/src/p{n}" for n in range(9))]
    items = []
    for number in range(first, first + count):
        text = " ".join(rng.choices(words, cum_weights=totals, k=rng.randrange(30, 50)))
        at = NOW - rng.randrange(400 * DAY_MS)
        items.append(make(number, text, at, scope=scopes[number % 10], **noise(rng)))
    return items


def _words() -> list[str]:
    """Those of the other sets first, then made-up ones; 20,000 in all."""
    spoken = " ".join(" ".join(wordings) for wordings in (*SUBJECTS, *TROUBLES)) + " " + " ".join(REMEDIES)
    known = list(dict.fromkeys(word.strip(".,:").lower() for word in spoken.split()))
    parts = ("ka", "lo", "mi", "tu", "re", "sa", "von", "del", "pri", "qua", "zen", "ost", "ur", "im", "bel", "nor")
    made = [a + b + c + d for a in parts for b in parts for c in parts for d in parts[:5]]
    random.Random(0).shuffle(made)
    return [*known, *made][:20_000]


def asked_of_crowd(seed: int, count: int) -> list[str]:
    """Questions as jobs ask them: a handful of words, common and rare."""
    rng = random.Random(seed)
    words = _words()
    return [
        " ".join([*rng.sample(words[:300], 4), *rng.sample(words[300:3_000], 3), *rng.sample(words[3_000:], 1)])
        for _ in range(count)
    ]
