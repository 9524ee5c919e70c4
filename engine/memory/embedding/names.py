"""How vectors are called by what made them: those of two models are never compared."""

from __future__ import annotations

from urllib.parse import urlsplit

from engine.config import EndpointSettings

LLAMA = "wordllama-l2-256"
MINILM = "minilm-l6-v2-int8-384"


def endpoint(settings: EndpointSettings) -> str:
    """By its model, its length and its host."""
    cut = f"-{settings.dimensions}" if settings.dimensions else ""
    return f"{settings.model}{cut}@{urlsplit(settings.base_url).netloc}"
