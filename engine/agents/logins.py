"""Where each agent keeps its login, and in which variables it takes credentials: one table. Pure.

The names are the programs' own. Sources: code.claude.com/docs, developers.openai.com/codex/environment-variables,
opencode.ai/docs, and for Gemini CLI its `homedir`, which GEMINI_CLI_HOME replaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.config import AccountSettings
from engine.documents import Complaint

_CLOUD = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK",
    "GOOGLE_APPLICATION_CREDENTIALS",
)  # fmt: skip
_GOOGLE = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA")


@dataclass(frozen=True, slots=True)
class Login:
    """How one agent is signed in."""

    program: str = ""
    """The program that is asked for its version, where the settings name no other."""
    key: str | None = None
    """The variable in which it takes a key; None where that depends on the model."""
    directory: Mapping[str, str] = field(default_factory=dict)
    """Variable -> the part of an account's `config_dir` that it is set to; '' is all of it."""
    root: str = ""
    """The one of those variables below which its login is."""
    default: str = ""
    """What that variable stands for where it is not set, below the user's home."""
    file: str = ""
    """The file of its login, below that."""
    credentials: tuple[str, ...] = ()
    """Everything that could pay: withheld from an account that has a login or a key of its own."""
    key_decides: bool = True
    """A key is used even where the configuration holds another login."""
    sign_in: str = ""
    """What a person runs to sign in."""


LOGINS: Mapping[str, Login] = {
    "claude": Login(
        program="claude",
        key="ANTHROPIC_API_KEY",
        directory={"CLAUDE_CONFIG_DIR": ""},
        root="CLAUDE_CONFIG_DIR",
        default=".claude",
        file=".credentials.json",
        credentials=(
            "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS",
            "ANTHROPIC_PROFILE", "ANTHROPIC_FOUNDRY_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX",
            "CLAUDE_CODE_USE_FOUNDRY", *_CLOUD,
        ),
        sign_in="claude, and /login in it",
    ),
    "codex": Login(
        program="codex",
        key="CODEX_API_KEY",
        directory={"CODEX_HOME": ""},
        root="CODEX_HOME",
        default=".codex",
        file="auth.json",
        credentials=("CODEX_API_KEY", "OPENAI_API_KEY", "CODEX_ACCESS_TOKEN", "AZURE_OPENAI_API_KEY"),
        sign_in="codex login",
    ),
    "opencode": Login(
        program="opencode",
        directory={"XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state"},
        root="XDG_DATA_HOME",
        default=".local/share",
        file="opencode/auth.json",
        credentials=(
            "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "OPENCODE_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY", "DEEPSEEK_API_KEY", "XAI_API_KEY",
            "GITHUB_TOKEN", "AZURE_API_KEY", *_GOOGLE, *_CLOUD,
        ),
        key_decides=False,
        sign_in="opencode auth login",
    ),
    "gemini": Login(
        program="gemini",
        key="GEMINI_API_KEY",
        directory={"GEMINI_CLI_HOME": ""},
        root="GEMINI_CLI_HOME",
        file=".gemini/oauth_creds.json",
        credentials=(*_GOOGLE, "GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"),
        key_decides=False,
        sign_in="gemini, and /auth in it",
    ),
    "acp": Login(program="gemini", credentials=(*_GOOGLE, "GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS")),
    "llm": Login(),
}  # fmt: skip


def complaints(name: str, account: AccountSettings) -> Iterator[Complaint]:
    """Why an account's agent could not use it, or how it would let another one pay."""
    login = LOGINS.get(account.agent, Login())
    if account.config_dir is not None and not login.directory:
        yield ("accounts", name, "config_dir"), f"{account.agent} has no folder of configuration"
    if account.agent == "llm":
        if account.key is not None and account.provider is None:
            yield ("accounts", name), "say whose key it is, such as provider: anthropic"
        return
    if account.provider is not None:
        yield ("accounts", name, "provider"), "only an account of llm has one; remove it"
    if account.key is None:
        return
    if login.key is None and account.key.variable is None:
        yield ("accounts", name, "key"), f"say in which variable {account.agent} takes it: key.variable"
    if not login.key_decides and account.config_dir is None:
        why = f"{account.agent} may prefer a login in its own folder to a key; give it one of its own, with config_dir"
        yield ("accounts", name), why


def config_variables(account: AccountSettings, directory: str) -> dict[str, str]:
    """What points an agent to an account's folder of configuration, given as a whole path."""
    parts = LOGINS.get(account.agent, Login()).directory
    return {variable: f"{directory}/{part}" if part else directory for variable, part in parts.items()}
