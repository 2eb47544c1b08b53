"""The one table of settings: what the person who runs the bot may choose.

The README's table and `.env.example` are held equal to it by tests; `bot.config.settings` reads
them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDefinition:
    """One row of the settings table."""

    name: str
    description: str
    default: str = ""
    secret: bool = False
    required_when: str = ""
    """When it has to be given; empty where it never has to."""


SETTINGS: tuple[SettingDefinition, ...] = (
    SettingDefinition(
        name="SLACK_BOT_TOKEN",
        description="The bot's token, from *OAuth & Permissions*; begins with `xoxb-`.",
        secret=True,
        required_when="always",
    ),
    SettingDefinition(
        name="SLACK_APP_TOKEN",
        description="The app-level token with `connections:write`; begins with `xapp-`.",
        secret=True,
        required_when="with `SLACK_MODE=socket`",
    ),
    SettingDefinition(
        name="SLACK_SIGNING_SECRET",
        description="Proves that a request came from Slack; from *Basic Information*.",
        secret=True,
        required_when="with `SLACK_MODE=http`",
    ),
    SettingDefinition(
        name="SLACK_MODE",
        description="`socket`: the bot connects to Slack; `http`: Slack calls the bot.",
        default="socket",
    ),
    SettingDefinition(
        name="SLACK_API_URL",
        description="Where Slack's Web API is; the sandbox's address in the demo and in tests.",
        default="https://slack.com/api/",
    ),
    SettingDefinition(
        name="SLACK_LIMITS",
        description="How many times its published rate limits Slack grants your app; mostly `1`.",
        default="1",
    ),
    SettingDefinition(
        name="HTTP_HOST",
        description=(
            "The address that `SLACK_MODE=http` listens on; loopback unless told otherwise."
        ),
        default="127.0.0.1",
    ),
    SettingDefinition(
        name="HTTP_PORT",
        description="The port that `SLACK_MODE=http` listens on.",
        default="3000",
    ),
    SettingDefinition(
        name="DATA_DIR",
        description=(
            "The folder of the database and of the sessions; made if missing, one bot each."
        ),
        default="data",
    ),
    SettingDefinition(
        name="GITHUB_TOKEN",
        description="A GitHub token with Copilot access: the models of your Copilot plan.",
        secret=True,
        required_when="without `MODEL_BASE_URL`",
    ),
    SettingDefinition(
        name="MODEL_BASE_URL",
        description="An OpenAI-compatible server to use instead of GitHub's models.",
        required_when="without `GITHUB_TOKEN`",
    ),
    SettingDefinition(
        name="MODEL_API_KEY",
        description="The key for `MODEL_BASE_URL`, where that server asks for one.",
        secret=True,
    ),
    SettingDefinition(
        name="MODEL",
        description="The model's name; otherwise the server's first model, or your plan's default.",
    ),
    SettingDefinition(
        name="COPILOT_CLI_PATH",
        description="The Copilot runtime's program, `copilot-runtime`; otherwise the one that "
        "`make setup` installed.",
    ),
    SettingDefinition(
        name="ADMIN_USERS",
        description="Slack user ids (`U…`, comma-separated) of those who are in charge of the bot.",
    ),
    SettingDefinition(
        name="ADMIN_GROUP",
        description="A Slack user group (`S…`) whose members are in charge, too.",
    ),
    SettingDefinition(
        name="WORKSPACE_ADMINS",
        description="Whether the workspace's admins and owners are in charge, too: `yes` or `no`.",
        default="yes",
    ),
    SettingDefinition(
        name="ALLOW_GUESTS",
        description="Whether guests of the workspace are answered: `yes` or `no`.",
        default="no",
    ),
    SettingDefinition(
        name="ALLOW_EXTERNAL",
        description=(
            "Whether people of other workspaces (Slack Connect) are answered: `yes` or `no`."
        ),
        default="no",
    ),
    SettingDefinition(
        name="ALLOWED_CHANNELS",
        description=(
            "Where alone people are answered (`C…`, comma-separated); empty: in all channels."
        ),
    ),
    SettingDefinition(
        name="ALLOWED_USERS",
        description=(
            "Only these people (`U…`, comma-separated) and those in charge; empty: everybody."
        ),
    ),
    SettingDefinition(
        name="ALLOWED_BOTS",
        description=(
            "Bots (`B…` or `U…`, comma-separated) that are answered when they mention the bot."
        ),
    ),
    SettingDefinition(
        name="ROLES_FILE",
        description="A TOML file with roles of your own; otherwise planning, coding and review.",
    ),
    SettingDefinition(
        name="MAX_TURNS",
        description="How many turns run at once, in all; more wait.",
        default="20",
    ),
    SettingDefinition(
        name="MAX_TURNS_PER_USER",
        description="How many turns of one person run at once; more wait.",
        default="3",
    ),
    SettingDefinition(
        name="MAX_TURNS_PER_DAY",
        description="How many turns one person may have in 24 hours; `0` for as many as they like.",
        default="0",
    ),
    SettingDefinition(
        name="MAX_SESSIONS",
        description="How many sessions stay live, about 6 MB each; a comparison takes one a model.",
        default="50",
    ),
    SettingDefinition(
        name="POOL_SECONDS",
        description="How long a turn waits for such a place before it is told that all are taken.",
        default="30",
    ),
    SettingDefinition(
        name="RUNTIME_MEMORY_MB",
        description=(
            "The runtime is started anew when it takes more and nothing runs; `0` for never."
        ),
        default="1500",
    ),
    SettingDefinition(
        name="RETENTION_DAYS",
        description="Sessions that nobody has used for so many days are deleted; `0` for never.",
        default="0",
    ),
    SettingDefinition(
        name="RETENTION_SESSIONS",
        description="Beyond so many, those unused for the longest are deleted; `0` for no limit.",
        default="0",
    ),
    SettingDefinition(
        name="RETENTION_MB",
        description="The same for the space that all sessions take on disk; `0` for no limit.",
        default="0",
    ),
    SettingDefinition(
        name="CONTEXT_MESSAGES",
        description=(
            "How many earlier messages of a thread come along when the bot is called into it."
        ),
        default="50",
    ),
    SettingDefinition(
        name="CATCH_UP_SECONDS",
        description=(
            "How far back it looks for what was said while it heard nothing; `0` for never."
        ),
        default="3600",
    ),
    SettingDefinition(
        name="MAX_MESSAGE_CHARS",
        description="The longest message that is taken; a longer one gets a sentence.",
        default="30000",
    ),
    SettingDefinition(
        name="SILENCE_SECONDS",
        description="How long the model may say nothing before the turn is given up.",
        default="120",
    ),
    SettingDefinition(
        name="TURN_SECONDS",
        description="How long one turn may take in all, however much the model says.",
        default="1800",
    ),
    SettingDefinition(
        name="SHUTDOWN_SECONDS",
        description="How long running turns may take to finish when the bot is asked to stop.",
        default="20",
    ),
    SettingDefinition(
        name="LOG_LEVEL",
        description="`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
        default="INFO",
    ),
    SettingDefinition(
        name="LOG_FORMAT",
        description="`text`: a line each for people; `json`: an object each for machines.",
        default="text",
    ),
    SettingDefinition(
        name="METRICS_PORT",
        description="The port of `/metrics`, `/healthz` and `/readyz` for operators; `0` for none.",
        default="0",
    ),
    SettingDefinition(
        name="METRICS_HOST",
        description="The address that `METRICS_PORT` listens on; loopback unless told otherwise.",
        default="127.0.0.1",
    ),
    SettingDefinition(
        name="OTEL_EXPORTER_OTLP_ENDPOINT",
        description=(
            "Where traces are sent (OTLP over HTTP); wants the extra `threadpilot[tracing]`."
        ),
    ),
)
