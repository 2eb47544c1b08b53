"""The Copilot runtime: the one place that knows the SDK. `CopilotAgent` is the way in."""
