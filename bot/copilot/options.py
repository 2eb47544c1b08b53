"""What the Copilot runtime is run with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bot.clock import SystemClock
from bot.copilot.instructions import INSTRUCTIONS, READING_INSTRUCTIONS
from bot.ports import UNWATCHED, Clock, Watch
from bot.redaction import Redaction

SILENCE_SECONDS = 120.0
_LONGEST_DETAIL = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """The choices of the person who runs the bot, as far as the runtime is concerned.

    With `base_url` the models of that OpenAI-compatible server are used and GitHub is never
    called; without it, `github_token` gives the models of a Copilot plan.
    """

    data_dir: Path
    """The bot's data folder; the runtime keeps to `data_dir/copilot`."""
    cli_path: Path | None = None
    """The runtime's binary, when not the installed one (see `bot.copilot.install`)."""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    model: str = ""
    """Empty: the server's first model, or the plan's default."""
    github_token: str = field(default="", repr=False)
    github_api: str = "https://api.github.com"
    """Where the runtime signs in. Asked only to find out why signing in failed."""
    silence_seconds: float = SILENCE_SECONDS
    """How long a session may show no sign of life while it answers."""
    instructions: str = INSTRUCTIONS
    """The system prompt of sessions without tools."""
    reading_instructions: str = READING_INSTRUCTIONS
    """The system prompt of sessions that may read the files of a folder."""
    clock: Clock = field(default_factory=SystemClock)
    watch: Watch = UNWATCHED
    redact: Redaction = field(default_factory=Redaction)
    """Takes the bot's secrets out of what sessions are asked and answer."""
    traces_to: str = ""
    """Where the runtime sends its traces, too (OTLP over HTTP); "" for nowhere."""

    def without_secrets(self, text: object) -> str:
        """Foreign text, made fit for a log line: no secret of ours, one line, bounded."""
        clean = " ".join(str(text).split())
        for secret in (self.api_key, self.github_token):
            if secret:
                clean = clean.replace(secret, "***")
        return clean if len(clean) <= _LONGEST_DETAIL else f"{clean[:_LONGEST_DETAIL]}…"
