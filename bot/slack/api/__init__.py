"""The Web API client: calls, rate limiter, files, blocks, ephemeral messages, permalinks."""
