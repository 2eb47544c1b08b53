"""The Copilot runtime: the only package that uses the SDK. Other code uses `CopilotAgent`."""

from bot.copilot.sdk_import import import_sdk

import_sdk()  # before any module of this package imports the SDK and builds all of its classes
