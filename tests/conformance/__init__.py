"""Clients that judge the sandbox from outside: an ordinary Bolt app and the hands of its people."""
