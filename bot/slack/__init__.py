"""The Slack adapter: transport, events, interactions, replies, cards, Web API."""
