"""Who looks at the bot from outside: metrics for Prometheus, traces by OpenTelemetry.

The only place that knows either; the rest of the bot tells `bot.ports.Telemetry` what happens.
"""
