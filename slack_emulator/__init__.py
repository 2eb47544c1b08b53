"""A Slack workspace on localhost. Implements Slack's wire contract and knows no bot."""
