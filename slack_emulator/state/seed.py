"""Defines the initial workspace: its users and channels, with fixed names and ids."""

from __future__ import annotations

from typing import Final

from slack_emulator.state.entities import (
    APP_ID,
    BOT_ID,
    BOT_NAME,
    BOT_USER_ID,
    OUTSIDE_TEAM_ID,
    Channel,
    User,
    UserGroup,
)

HUMANS: Final = (
    User(
        id="UALICE",
        name="alice",
        real_name="Alice",
        token="xoxp-alice",  # noqa: S106 - fixed and public
        is_admin=True,
        is_owner=True,
    ),
    User(id="UBOB", name="bob", real_name="Bob", token="xoxp-bob"),  # noqa: S106 - the same
    User(id="UCAROL", name="carol", real_name="Carol", token="xoxp-carol"),  # noqa: S106 - the same
    User(
        id="UEVE",
        name="eve",
        real_name="Eve (another company)",
        token="xoxp-eve",  # noqa: S106 - the same
        team_id=OUTSIDE_TEAM_ID,
    ),
    User(
        id="UGUS",
        name="gus",
        real_name="Gus (a guest)",
        token="xoxp-gus",  # noqa: S106 - the same
        is_guest=True,
    ),
)
APP_BOT: Final = User(
    id=BOT_USER_ID,
    name=BOT_NAME,
    real_name="Threadpilot",
    is_bot=True,
    bot_id=BOT_ID,
    app_id=APP_ID,
)
OTHER_APP_BOT: Final = User(
    id="U0ROBOT",
    name="robot",
    real_name="Robot (another app)",
    token="xoxb-robot",  # noqa: S106 - the same
    is_bot=True,
    bot_id="B0ROBOT",
    app_id="A0ROBOT",
)
"""The bot of another app. It is in no channel until it joins one (`conversations.join`)."""
INITIAL_USERS: Final = (*HUMANS, APP_BOT)
USER_GROUPS: Final = (UserGroup(id="S0PILOTS", handle="pilots", members=("UCAROL",)),)


def initial_channels(created: int) -> list[Channel]:
    """The initial channels.

    All users are in #general, all but the guest in #dev. #secret is private, without the app, eve
    and the guest.
    """
    everybody = frozenset(user.id for user in INITIAL_USERS)
    full = frozenset(user.id for user in INITIAL_USERS if not user.is_guest)
    insiders = frozenset(user.id for user in HUMANS if not (user.is_stranger or user.is_guest))
    return [
        Channel(id="C0GENERAL", name="general", members=everybody, created=created),
        Channel(id="C0DEV", name="dev", members=full, created=created),
        Channel(id="C0SECRET", name="secret", members=insiders, created=created, is_private=True),
    ]
