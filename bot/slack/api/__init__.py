"""The Web API client: calls, rate limiter, files, ephemeral messages, permalinks."""
