"""How fast the bot is, held against what it is built on: `make bench`."""
