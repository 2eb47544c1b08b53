"""Slack's signature on what it sends to an app (docs.slack.dev: verifying requests from Slack)."""

from __future__ import annotations

import hashlib
import hmac

from slack_emulator.state.entities import SIGNING_SECRET


def signed(body: bytes, seconds: float) -> dict[str, str]:
    """The headers that prove that `body` comes from Slack at this time (since the epoch)."""
    timestamp = str(int(seconds))
    base = b"v0:" + timestamp.encode() + b":" + body
    digest = hmac.new(SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}
