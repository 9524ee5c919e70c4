"""The lines that Claude Code 2.1 prints with `--output-format stream-json`: the fields that are used, and no others.

Every field may be missing or null, and the inner parts stay undecoded until they are asked for, so that a change
in one corner of the format does not cost a whole line.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from engine.agents.lines import NOTHING, Count, Dollars, decode

SYNTHETIC = "<synthetic>"  #: the model's name in messages that claude wrote itself

#: `type` of lines that say nothing about the state of a run.
QUIET_TYPES = frozenset({
    "auth_status", "control_response", "keep_alive",
    "prompt_suggestion", "stream_event", "streamlined_text", "tool_progress", "tool_use_summary",
    "transcript_mirror",
})  # fmt: skip

#: The same for the `subtype` of system lines: those seen in recordings, then those read in the program's own text.
QUIET_SUBTYPES = frozenset({
    "background_tasks_changed", "informational", "model_fallback", "status", "task_notification",
    "task_progress", "task_started", "task_updated", "ui_invalidate",
}) | frozenset({
    "agents_killed", "away_summary", "commands_changed", "files_persisted", "file_snapshot", "hook_progress",
    "hook_response", "hook_started", "instruction_size_warning", "local_command_output", "memory_recall",
    "memory_saved", "mirror_error", "model_consent_fallback", "model_refusal_fallback",
    "model_refusal_no_fallback", "notification", "per_turn_effort_changed", "permission_check_status",
    "permission_retry", "plugin_install", "post_turn_summary", "session_metadata", "session_state_changed",
    "session_title_changed", "session_writes_lost", "shell_cwd", "stop_hook_summary", "task_list_statuses",
    "task_summary", "thinking", "thinking_tokens", "turn_duration", "turn_preempted", "ui_log", "ui_notify",
    "ui_status", "ui_toast", "vcs_state_changed", "worker_shutting_down",
})  # fmt: skip


class Head(Struct):
    """What tells one kind of line from another."""

    type: str | None = None
    subtype: str | None = None


class Init(Struct):
    """`system/init`: opens each turn; a process may print several."""

    session_id: str | None = None
    model: str | None = None
    cwd: str | None = None
    claude_code_version: str | None = None


class CacheCreation(Struct):
    ephemeral_1h_input_tokens: Count | None = None


class OutputDetails(Struct):
    thinking_tokens: Count | None = None


class ApiUsage(Struct):
    """Tokens of one model call. In `assistant` lines `output_tokens` is what was known at its start, not the end."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: Raw = NOTHING
    """How long what was written to the cache is kept: `CacheCreation`."""
    output_tokens_details: Raw = NOTHING

    @property
    def context(self) -> int:
        """Tokens that the model was told: new, read from the cache, written to it."""
        parts = (self.input_tokens, self.cache_read_input_tokens, self.cache_creation_input_tokens)
        return sum(part or 0 for part in parts)


class Message(Struct):
    id: str | None = None
    model: str | None = None
    content: Raw = NOTHING
    """A string or a list of `Block`."""
    usage: Raw = NOTHING


class Turn(Head):
    """`assistant` and `user` lines. One model message may come as several lines, one a block, under the same id."""

    message: Message | None = None
    timestamp: str | None = None
    parent_tool_use_id: str | None = None
    """The tool call whose subagent speaks; None for the main conversation."""
    tool_use_result: Raw = NOTHING
    is_api_error_message: bool | None = None
    error: str | None = None
    api_error_params: Raw = NOTHING


class Block(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NOTHING
    tool_use_id: str | None = None
    content: Raw = NOTHING
    is_error: bool | None = None


_CONTENT: type[str | list[Block]] = str | list[Block]  # type: ignore[assignment]  # mypy has no name for such a type


class Hunk(Struct):
    lines: list[str] = msgspec.field(default_factory=list)


class FileChange(Struct, rename="camel"):
    """`tool_use_result` of Write and Edit. A created file has an empty patch."""

    type: str | None = None
    file_path: str | None = None
    content: str | None = None
    structured_patch: list[Hunk] | None = None


class Window(Struct, rename="camel"):
    utilization: float | None = None
    resets_at: float | None = None
    status: str | None = None


class RateLimits(Struct, rename="camel"):
    """`rate_limit_info`. 2.1.197 has no `unifiedWindows`."""

    status: str | None = None
    resets_at: float | None = None
    rate_limit_type: str | None = None
    utilization: float | None = None
    unified_windows: dict[str, Window] | None = None
    is_using_overage: bool | None = None
    """It is served beyond its windows, for money."""
    overage_status: str | None = None
    overage_resets_at: float | None = None


class RateLimitLine(Struct):
    rate_limit_info: RateLimits | None = None


class RetryLine(Struct):
    """`system/api_retry`."""

    attempt: Count | None = None
    retry_delay_ms: Annotated[float, Meta(ge=0, le=2**53)] | None = None
    error_status: Count | None = None
    error: str | None = None


class CompactMetadata(Struct):
    trigger: str | None = None
    pre_tokens: Count | None = None
    post_tokens: Count | None = None


class CompactLine(Struct):
    compact_metadata: CompactMetadata | None = None


class DeniedLine(Struct):
    """`system/permission_denied`."""

    tool_name: str | None = None
    message: str | None = None


class QuietLine(Struct):
    """What little a line of no weight may have to say."""

    content: str | None = None
    status: str | None = None
    description: str | None = None
    summary: str | None = None


class ModelUsage(Struct, rename="camel"):
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    one_hour: Count | None = msgspec.field(default=None, name="cacheCreationEphemeral1hInputTokens")
    thinking_tokens: Count | None = None
    canonical_model: str | None = None
    cost_usd: Dollars | None = msgspec.field(default=None, name="costUSD")
    context_window: Count | None = None


class Denial(Struct):
    tool_name: str | None = None


class ResultLine(Struct):
    """`result`: the end of a turn. A failed call of the model still has `subtype: success`."""

    subtype: str | None = None
    is_error: bool | None = None
    result: str | None = None
    errors: Raw = NOTHING
    uuid: str | None = None
    api_error_status: int | None = None
    api_error_type: str | None = None
    api_error: str | None = None
    terminal_reason: str | None = None
    startup_failure_reason: str | None = None
    model_usage: Raw = msgspec.field(default=NOTHING, name="modelUsage")
    """Totals of the session, over resumes and forks too."""
    model_usage_since_last_result: Raw | UnsetType = UNSET
    """This turn's part of them. Older versions do not print it."""
    permission_denials: Raw = NOTHING


def blocks(content: Raw) -> list[Block] | None:
    """What a message or a tool's result holds: a list of blocks, or one string."""
    found = decode(content, _CONTENT)
    return [Block(type="text", text=found)] if isinstance(found, str) else found
