"""Benchmark of the bot against the libraries that it is built on: `make bench`."""
