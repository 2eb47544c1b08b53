"""The one table of settings: what the person who runs the bot may choose.

The README's table and `.env.example` are held equal to it by tests; `bot.config.settings` reads
them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the settings table."""

    name: str
    meaning: str
    default: str = ""
    secret: bool = False
    needed: str = ""
    """When it has to be given; empty where it never has to."""


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="SLACK_BOT_TOKEN",
        meaning="The bot's token, from *OAuth & Permissions*; begins with `xoxb-`.",
        secret=True,
        needed="always",
    ),
    Setting(
        name="SLACK_APP_TOKEN",
        meaning="The app-level token with `connections:write`; begins with `xapp-`.",
        secret=True,
        needed="with `SLACK_MODE=socket`",
    ),
    Setting(
        name="SLACK_SIGNING_SECRET",
        meaning="Proves that a request came from Slack; from *Basic Information*.",
        secret=True,
        needed="with `SLACK_MODE=http`",
    ),
    Setting(
        name="SLACK_MODE",
        meaning="`socket`: the bot connects to Slack; `http`: Slack calls the bot.",
        default="socket",
    ),
    Setting(
        name="SLACK_API_URL",
        meaning="Where Slack's Web API is; the sandbox's address in the demo and in tests.",
        default="https://slack.com/api/",
    ),
    Setting(
        name="SLACK_LIMITS",
        meaning="How many times its published rate limits Slack grants your app; mostly `1`.",
        default="1",
    ),
    Setting(
        name="HTTP_HOST",
        meaning="The address that `SLACK_MODE=http` listens on; loopback unless told otherwise.",
        default="127.0.0.1",
    ),
    Setting(
        name="HTTP_PORT",
        meaning="The port that `SLACK_MODE=http` listens on.",
        default="3000",
    ),
    Setting(
        name="DATA_DIR",
        meaning="The folder of the database and of the sessions; made if missing, one bot each.",
        default="data",
    ),
    Setting(
        name="GITHUB_TOKEN",
        meaning="A GitHub token with Copilot access: the models of your Copilot plan.",
        secret=True,
        needed="without `MODEL_BASE_URL`",
    ),
    Setting(
        name="MODEL_BASE_URL",
        meaning="An OpenAI-compatible server to use instead of GitHub's models.",
        needed="without `GITHUB_TOKEN`",
    ),
    Setting(
        name="MODEL_API_KEY",
        meaning="The key for `MODEL_BASE_URL`, where that server asks for one.",
        secret=True,
    ),
    Setting(
        name="MODEL",
        meaning="The model's name; otherwise the server's first model, or your plan's default.",
    ),
    Setting(
        name="COPILOT_CLI_PATH",
        meaning="The Copilot runtime's program, `copilot-runtime`; otherwise the one that "
        "`make setup` installed.",
    ),
    Setting(
        name="ADMIN_USERS",
        meaning="Slack user ids (`U…`, comma-separated) of those who are in charge of the bot.",
    ),
    Setting(
        name="ADMIN_GROUP",
        meaning="A Slack user group (`S…`) whose members are in charge, too.",
    ),
    Setting(
        name="WORKSPACE_ADMINS",
        meaning="Whether the workspace's admins and owners are in charge, too: `yes` or `no`.",
        default="yes",
    ),
    Setting(
        name="ALLOW_GUESTS",
        meaning="Whether guests of the workspace are answered: `yes` or `no`.",
        default="no",
    ),
    Setting(
        name="ALLOW_EXTERNAL",
        meaning="Whether people of other workspaces (Slack Connect) are answered: `yes` or `no`.",
        default="no",
    ),
    Setting(
        name="ALLOWED_CHANNELS",
        meaning="Where alone people are answered (`C…`, comma-separated); empty: in all channels.",
    ),
    Setting(
        name="ALLOWED_USERS",
        meaning="Only these people (`U…`, comma-separated) and those in charge; empty: everybody.",
    ),
    Setting(
        name="ALLOWED_BOTS",
        meaning="Bots (`B…` or `U…`, comma-separated) that are answered when they mention the bot.",
    ),
    Setting(
        name="ROLES_FILE",
        meaning="A TOML file with roles of your own; otherwise planning, coding and review.",
    ),
    Setting(
        name="MAX_TURNS",
        meaning="How many turns run at once, in all; more wait.",
        default="20",
    ),
    Setting(
        name="MAX_TURNS_PER_USER",
        meaning="How many turns of one person run at once; more wait.",
        default="3",
    ),
    Setting(
        name="MAX_TURNS_PER_DAY",
        meaning="How many turns one person may have in 24 hours; `0` for as many as they like.",
        default="0",
    ),
    Setting(
        name="MAX_SESSIONS",
        meaning="How many sessions stay live, about 6 MB each; a comparison takes one a model.",
        default="50",
    ),
    Setting(
        name="POOL_SECONDS",
        meaning="How long a turn waits for such a place before it is told that all are taken.",
        default="30",
    ),
    Setting(
        name="RUNTIME_MEMORY_MB",
        meaning="The runtime is started anew when it takes more and nothing runs; `0` for never.",
        default="1500",
    ),
    Setting(
        name="RETENTION_DAYS",
        meaning="Sessions that nobody has used for so many days are deleted; `0` for never.",
        default="0",
    ),
    Setting(
        name="RETENTION_SESSIONS",
        meaning="Beyond so many, those unused for the longest are deleted; `0` for no limit.",
        default="0",
    ),
    Setting(
        name="RETENTION_MB",
        meaning="The same for the space that all sessions take on disk; `0` for no limit.",
        default="0",
    ),
    Setting(
        name="CONTEXT_MESSAGES",
        meaning="How many earlier messages of a thread come along when the bot is called into it.",
        default="50",
    ),
    Setting(
        name="CATCH_UP_SECONDS",
        meaning="How far back it looks for what was said while it heard nothing; `0` for never.",
        default="3600",
    ),
    Setting(
        name="MAX_MESSAGE_CHARS",
        meaning="The longest message that is taken; a longer one gets a sentence.",
        default="30000",
    ),
    Setting(
        name="SILENCE_SECONDS",
        meaning="How long the model may say nothing before the turn is given up.",
        default="120",
    ),
    Setting(
        name="TURN_SECONDS",
        meaning="How long one turn may take in all, however much the model says.",
        default="1800",
    ),
    Setting(
        name="SHUTDOWN_SECONDS",
        meaning="How long running turns may take to finish when the bot is asked to stop.",
        default="20",
    ),
    Setting(
        name="LOG_LEVEL",
        meaning="`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
        default="INFO",
    ),
    Setting(
        name="LOG_FORMAT",
        meaning="`text`: a line each for people; `json`: an object each for machines.",
        default="text",
    ),
    Setting(
        name="METRICS_PORT",
        meaning="The port of `/metrics`, `/healthz` and `/readyz` for operators; `0` for none.",
        default="0",
    ),
    Setting(
        name="METRICS_HOST",
        meaning="The address that `METRICS_PORT` listens on; loopback unless told otherwise.",
        default="127.0.0.1",
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_ENDPOINT",
        meaning="Where traces are sent (OTLP over HTTP); wants the extra `threadpilot[tracing]`.",
    ),
)
