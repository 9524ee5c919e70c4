"""Secrets out of what the engine writes: what is known by its value, and what is a key by its shape."""

from __future__ import annotations

import base64
import io
import json
import logging
import string
import uuid
from urllib.parse import quote

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from engine.redact import MARK, Filter, Secrets, is_key, is_secret, out_of_shapes
from engine.redact.secrets import UNLIKELY

KEY = "sk-made-up-for-a-test"


def _made(alphabet: str, count: int) -> str:
    """Something that looks drawn from it. Keys are put together here, so that nobody takes this file for a leak."""
    return "".join(alphabet[(at * 7 + 3) % len(alphabet)] for at in range(count))


WORD = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
B64 = base64.b64encode(bytes(range(96))).decode()

#: One of each kind. Those that a public detector was seen to miss come first.
KEYS = {
    "anthropic api03": f"sk-ant-api03-{_made(WORD + '-_', 93)}AA",
    "anthropic oat01": f"sk-ant-oat01-{_made(WORD, 86)}",
    "openai project": f"sk-proj-{_made(WORD + '_-', 74)}T3BlbkFJ{_made(WORD, 20)}",
    "google": f"AIza{_made(WORD, 35)}",
    "anthropic admin01": f"sk-ant-admin01-{_made(WORD, 93)}",
    "openai": f"sk-{_made(WORD, 48)}",
    "openrouter": f"sk-or-v1-{_made(HEX, 64)}",
    "groq": f"gsk_{_made(WORD, 52)}",
    "xai": f"xai-{_made(WORD, 80)}",
    "headway": f"hwt_{_made(WORD + '-_', 43)}",
    "hugging face": f"hf_{_made(string.ascii_letters, 34)}",
    "github": f"ghp_{_made(WORD, 36)}",
    "github fine": f"github_pat_{_made(WORD, 22)}_{_made(WORD, 59)}",
    "gitlab": f"glpat-{_made(WORD, 20)}",
    "npm": f"npm_{_made(WORD, 36)}",
    "pypi": f"pypi-AgEIcHlwaS5vcmc{_made(WORD, 80)}",
    "docker": f"dckr_pat_{_made(WORD, 27)}",
    "aws id": f"AKIA{_made(UPPER, 16)}",
    "google oauth": f"ya29.{_made(WORD, 60)}",
    "digitalocean": f"dop_v1_{_made(HEX, 64)}",
    "vault": f"hvs.{_made(WORD, 95)}",
    "stripe": f"sk_live_{_made(WORD, 24)}",
    "webhook": f"whsec_{_made(WORD, 32)}",
    "sendgrid": f"SG.{_made(WORD, 22)}.{_made(WORD, 43)}",
    "age": f"AGE-SECRET-KEY-1{_made(UPPER, 58)}",
    "slack": f"xoxb-{_made('0123456789', 12)}-{_made(WORD, 24)}",
    "jwt": ".".join(base64.urlsafe_b64encode(json.dumps({"a": n * 9}).encode()).decode().rstrip("=") for n in (11, 22))
    + f".{_made(WORD, 43)}",
}
#: Those that stand behind something: the text, and the secret in it.
BEHIND = {
    "bearer": ("Authorization: Bearer {}", _made(WORD + "._-", 40)),
    "bearer in json": ('{{"authorization":"Bearer {}"}}', _made(WORD, 40)),
    "basic": ("curl -H 'Authorization: Basic {}'", base64.b64encode(b"me:hunter22").decode()),
    "api key header": ("x-api-key: {}", _made(WORD, 32)),
    "aws secret": ("AWS_SECRET_ACCESS_KEY={}", _made(WORD + "+/", 40)),
    "aws secret in json": ('\\"SecretAccessKey\\": \\"{}\\"', _made(WORD + "+/", 40)),
    "azure": ("AccountName=x;AccountKey={};", _made(WORD, 86) + "=="),
    "address": ("git push https://me:{}@github.com/a/b", "pa55word"),
    "token in an address": ("https://x-access-token:{}@host/x.git", _made(WORD, 30)),
    "database": ("postgresql://app:{}@db:5432/x", "s3cr3t!"),
    "slack hook": ("https://hooks.slack.com/services/{}", "T0AAAAAAA/B0BBBBBBB/c3D4e5F6"),
}
PEM = f"-----BEGIN {'RSA '}PRIVATE KEY-----\n{B64[:64]}\n{B64[64:]}\n-----END RSA PRIVATE KEY-----"

#: What is no secret, however much it looks like one.
HARMLESS = [
    "d670460b4b4aece5915caf5c68d12f560a9fe3e4",
    "commit 60a61d8f0c1e2b3a4d5e6f708192a3b4c5d6e7f8 (HEAD -> main)",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "integrity sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    "5f0c8a3e-7d3c-4d0e-9a1b-2c3d4e5f6a7b",
    "claude-sonnet-4-5-20250929 gpt-5.1-codex-max gemini-2.5-pro us.anthropic.claude-opus-4-1-20250805-v1:0",
    "pip install sk-learn-contrib-examples-of-something; task-1234567890abcdefghij; desk-abcdefghij0123456789",
    "https://host:8080/path@v1 ssh://git@github.com/a/b git@github.com:a/b.git http://[::1]:80/ user@example.com",
    "postgres://$USER:$PASS@host https://{user}:{password}@host https://<user>:<pass>@host",
    "npm_config_registry npm_lifecycle_event hf_hub_download_with_retries xoxo hugs_and_kisses",
    "Authorization: Bearer $TOKEN; bearer authentication-is-required-here; WWW-Authenticate: Bearer realm",
    "the key is AIza and then something; AKIAIOS; eyJhbGciOiJIUzI1NiJ9 alone",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    'if text.startswith("-----BEGIN PRIVATE KEY-----"): raise ValueError("that is a private key")',
    "token=abc password: hunter2 max_tokens=4096 the token is used up: 200k tokens",
    "toolu_01A09q90qw90lq917835lq9 msg_01XFDUDYJgAACzvnptvVoYEL req_011CSHoEeqs5C35K2UUqR7Fy",
    "call_abc123DEF456ghi789JKL012 rs_0a1b2c3d4e5f60718293a4b5c6d7e8f9 thread_abc123",
]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("ANTHROPIC_API_KEY", True), ("CLAUDE_CODE_OAUTH_TOKEN", True), ("AWS_SECRET_ACCESS_KEY", True),
        ("PGPASSWORD", True), ("DB_PASSWORD", True), ("HEADWAY_LLM_KEY", True), ("ANTHROPIC_CUSTOM_HEADERS", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", False), ("SSH_AUTH_SOCK", False), ("AWS_ACCESS_KEY_ID", False),
        ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", False), ("MONKEY", False), ("PATH", False), ("KEY_FILE", False),
    ],
)  # fmt: skip
def test_a_name_tells_whether_its_value_is_a_secret(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_is_found_by_its_shape_wherever_it_stands(key: str) -> None:
    for text in ("{}", "export K={}", '{{"k":"{}"}}', "line\n{}\nline", 'said \\n{} and "{}"', "k: '{}',", "+K={}"):
        told = Secrets().out_of(text.format(key, key) if text.count("{}") == 2 else text.format(key))
        assert key not in told, text
        assert key[len(key) // 2 :] not in told, text
        assert told == text.replace("{}", MARK).replace("{{", "{").replace("}}", "}"), text
    # Once more inside a string of JSON that holds JSON, as agents' tools print it.
    told = Secrets().out_of(json.dumps(json.dumps({"out": f"a\n{key}\nb"})))
    assert key not in told
    assert json.loads(json.loads(told)) == {"out": f"a\n{MARK}\nb"}


@pytest.mark.parametrize(("text", "secret"), BEHIND.values(), ids=BEHIND)
def test_a_secret_is_found_by_what_stands_before_it(text: str, secret: str) -> None:
    told = Secrets().out_of(text.format(secret))
    assert secret not in told
    assert MARK in told
    assert told.startswith(text[:5].replace("{{", "{"))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Secrets().out_of(text) == text
    assert Secrets().out_of(json.dumps(text)) == json.dumps(text)
    assert not is_key(text)


@settings(deadline=None)
@given(st.sampled_from((20, 32)).flatmap(lambda size: st.binary(min_size=size, max_size=size)).map(bytes.hex))
def test_a_commit_and_a_digest_are_no_secrets(digest: str) -> None:
    assert Secrets().out_of(f"commit {digest} tree {digest}") == f"commit {digest} tree {digest}"


@settings(deadline=None)
@given(
    st.uuids(),
    st.from_regex(r"(claude|gpt|gemini|qwen)-[a-z0-9.]{1,12}(-[a-z0-9]{1,10}){0,4}", fullmatch=True),
)
def test_a_uuid_and_a_model_are_no_secrets(one: uuid.UUID, model: str) -> None:
    text = json.dumps({"session_id": str(one), "model": model, "path": f"/runs/{one}/{model}"})
    assert Secrets().out_of(text) == text


@settings(deadline=None)
@given(st.text())
def test_other_text_stays_as_it_is(text: str) -> None:
    secrets = Secrets()
    secrets.learn(["Zq9-known-value-Zq9"])
    assert secrets.out_of(text) == text


def test_a_private_key_goes_whole_in_every_dress() -> None:
    for text in (
        PEM,
        json.dumps({"file": PEM}),
        json.dumps(json.dumps(PEM)),
        "\n".join(f"+{one}" for one in PEM.splitlines()),
    ):
        told = Secrets().out_of(f"before {text} after")
        assert B64[:20] not in told and B64[70:90] not in told, text
        assert told.startswith("before ") and told.endswith(" after")
    cut = Secrets().out_of(PEM[:90])
    assert B64[:20] not in cut


def test_known_values_go_and_short_ones_stay() -> None:
    secrets = Secrets()
    assert secrets.out_of(f"the key {KEY}") == f"the key {KEY}"
    secrets.learn_from({"API_KEY": KEY, "TOKEN": "short", "PATH": "/usr/local/bin"})
    assert secrets.out_of(f"{KEY}{KEY} in /usr/local/bin, short") == f"{MARK}{MARK} in /usr/local/bin, short"
    assert secrets.out_of_bytes(f'{{"a":"{KEY}"}}'.encode()) == f'{{"a":"{MARK}"}}'.encode()
    assert secrets.out_of(None) is None
    assert KEY not in repr(secrets)


def test_the_longer_of_two_that_begin_alike_goes_whole() -> None:
    secrets = Secrets()
    secrets.learn(["sk-12345678", "sk-12345678-and-more"])
    assert secrets.out_of("sk-12345678-and-more") == MARK


SECRET = st.text(alphabet=WORD + "/+=-_.!@ é\"\\'", min_size=12, max_size=60).filter(
    lambda one: len(set(one)) > 4 and not (len(one) < UNLIKELY and one.isascii() and one.isalpha())
)  #: without those that are a word: they count only where they stand by themselves


@settings(deadline=None)
@given(SECRET, st.text(max_size=20), st.text(max_size=20), st.data())
def test_a_known_value_goes_however_it_is_written(value: str, before: str, after: str, data: st.DataObject) -> None:
    secrets = Secrets()
    secrets.learn([value])
    whole = f"{before}{value}{after}"
    assert value not in secrets.out_of(whole)
    for escaped in (json.dumps(whole), json.dumps(whole, ensure_ascii=False)):
        told = secrets.out_of(escaped)
        assert value not in json.loads(told)
        assert json.loads(secrets.out_of_bytes(escaped.encode("utf-8", "replace")))
    assert quote(value, safe="") not in secrets.out_of(quote(whole, safe="", errors="replace"))
    # In base64, wherever it begins: nothing of its middle can be decoded any more.
    coded = base64.b64encode(whole.encode("utf-8", "replace")).decode()
    assert MARK in secrets.out_of(coded)
    assert value.encode().hex() not in secrets.out_of(value.encode().hex())
    # Broken over two lines, anywhere, by a real break or by one of JSON.
    at = data.draw(st.integers(1, len(value) - 1))
    for line_end in ("\n", "\r\n", "\\n"):
        told = secrets.out_of(f"{before}{value[:at]}{line_end}{value[at:]}{after}")
        assert f"{value[:at]}{line_end}{value[at:]}" not in told


def test_a_long_value_is_found_in_lines_of_a_mail() -> None:
    secrets, value = Secrets(), _made(WORD, 400)
    secrets.learn([value])
    coded = base64.encodebytes(f"x{value}y".encode()).decode()
    for text in (coded, "\n".join(value[at : at + 76] for at in range(0, 400, 76))):
        told = secrets.out_of(text)
        assert MARK in told and not any(line in told for line in text.splitlines()[1:-1])


def test_json_stays_json_where_an_escape_stands_before_a_secret() -> None:
    secrets = Secrets()
    secrets.learn(["nabcdefgh123"])
    told = secrets.out_of(json.dumps({"a": "\nabcdefgh123"}))
    assert json.loads(told) == {"a": MARK}


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab.*\\(", min_size=8, max_size=12), max_size=5), st.text(alphabet="ab.*\\("))
def test_no_known_value_is_left_in_any_text(values: list[str], text: str) -> None:
    secrets = Secrets()
    secrets.learn(values)
    found = secrets.out_of("".join([text, *values, text]))
    assert not any(value in found for value in values)


def test_a_log_holds_none_in_its_lines_and_tracebacks() -> None:
    secrets, out = Secrets(), io.StringIO()
    secrets.learn([KEY])
    handler = logging.StreamHandler(out)
    handler.addFilter(Filter(secrets))
    logger = logging.getLogger("test_redact")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.warning("job %d: %s", 1, f"it said {KEY}")
        try:
            raise ValueError(f"no {KEY} please")
        except ValueError:
            logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    assert KEY not in out.getvalue()
    assert f"job 1: it said {MARK}" in out.getvalue()
    assert f"ValueError: no {MARK} please" in out.getvalue()


def test_what_leaves_the_machine_is_held_to_more() -> None:
    assert out_of_shapes("password=hunter2") == f"password={MARK}"
    assert Secrets().out_of("password=hunter2") == "password=hunter2"


def test_a_word_that_is_a_password_goes_by_itself_and_stays_in_paths() -> None:
    secrets = Secrets()
    secrets.learn_from({"PGPASSWORD": "postgres", "PIN_TOKEN": "12345678", "API_KEY": "aB3-aB3-aB3-aB3"})
    assert secrets.out_of("the password postgres, 'postgres'") == f"the password {MARK}, '{MARK}'"
    for text in ("/srv/postgres/x", "docker.io/postgres:16", "postgres-exporter", '{"at":1712345678901}'):
        assert secrets.out_of(text) == text
    assert secrets.kept("postgres aB3-aB3-aB3-aB3") == f"postgres {MARK}"
