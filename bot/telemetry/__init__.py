"""Telemetry: metrics for Prometheus, traces by OpenTelemetry.

The only package that uses either library. The rest of the bot calls `bot.ports.Telemetry`.
"""
