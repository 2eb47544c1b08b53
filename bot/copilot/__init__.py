"""The Copilot runtime: the one place that knows the SDK. `CopilotAgent` is the way in."""

from bot.copilot.sdk_import import import_sdk

import_sdk()  # before any module here does, which would have all of its classes made
