"""How the workspace begins: who is there, and in which channels (names and ids are fixed)."""

from __future__ import annotations

from typing import Final

from bot.sandbox.facts import BOT_NAME, BOT_USER_ID, OUTSIDE_TEAM_ID, Channel, User

PEOPLE: Final = (
    User(id="UALICE", name="alice", real_name="Alice", token="xoxp-alice", is_admin=True),  # noqa: S106 - fixed and public
    User(id="UBOB", name="bob", real_name="Bob", token="xoxp-bob"),  # noqa: S106 - the same
    User(id="UCAROL", name="carol", real_name="Carol", token="xoxp-carol"),  # noqa: S106 - the same
    User(
        id="UEVE",
        name="eve",
        real_name="Eve (another company)",
        token="xoxp-eve",  # noqa: S106 - the same
        team_id=OUTSIDE_TEAM_ID,
    ),
)
BOT: Final = User(id=BOT_USER_ID, name=BOT_NAME, real_name="Threadpilot", is_bot=True)
EVERYBODY: Final = (*PEOPLE, BOT)


def channels(created: int) -> list[Channel]:
    """#general and #dev with everybody in them; #secret is private, without the app and eve."""
    everybody = frozenset(user.id for user in EVERYBODY)
    insiders = frozenset(user.id for user in PEOPLE if not user.is_stranger)
    return [
        Channel(id="C0GENERAL", name="general", members=everybody, created=created),
        Channel(id="C0DEV", name="dev", members=everybody, created=created),
        Channel(id="C0SECRET", name="secret", members=insiders, created=created, is_private=True),
    ]
