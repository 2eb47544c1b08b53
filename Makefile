# One target for each task. `make` alone lists them.

PYTHON ?= python3
PORT ?= 8787
GGUF ?=
ARGS ?=
CHAOS_SECONDS ?= 600
CHAOS_SEED ?=
ROWS ?=
BENCH_ARGS ?=
WORKERS ?= 3
BIN := .venv/bin
# Tests without a server or network: units, contracts, and parsers of Slack's payloads.
FAST := tests/unit tests/contracts tests/integration/slack/api/test_destinations.py \
	tests/integration/slack/events/test_edits.py tests/integration/slack/test_payload_fuzz.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests setup-bench demo run doctor emulator sandbox lint test test-fast check chaos bench bench-memory fuzz screenshots clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install everything into .venv; a second run skips what is installed
	@$(PYTHON) scripts/setup.py

setup-tests: ## setup, and what only the tests need: Chromium, Bolt for JavaScript, the Chat SDK
	@$(PYTHON) scripts/setup.py --tests

setup-bench: ## setup, and what the bench compares the bot with: the Chat SDK
	@$(PYTHON) scripts/setup.py --bench

demo: setup ## the bot in a Slack workspace on localhost, with a small local model (PORT=, GGUF=)
	@exec $(BIN)/threadpilot demo --port "$(PORT)" $(if $(GGUF),--gguf "$(GGUF)")

run: setup ## the bot in your Slack workspace, with the settings of the environment or .env
	@exec $(BIN)/threadpilot run

doctor: setup ## check tokens, scopes, runtime, model and database
	@$(BIN)/threadpilot doctor

emulator: setup ## the Slack workspace on localhost, without the bot (PORT=)
	@exec $(BIN)/threadpilot emulator --port "$(PORT)"

sandbox: emulator ## the old name of emulator

lint: setup ## ruff, mypy and the import contracts; all of them, even if one fails
	@for check in "ruff check ." "ruff format --check ." mypy "mypy scripts" lint-imports; do \
		echo "== $$check"; $(BIN)/$$check || failed=1; \
	done; test -z "$$failed"

test: setup-tests ## all tests, with coverage (ARGS= for pytest, WORKERS= processes)
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=worksteal --cov --cov-branch --cov-report=term $(ARGS)

test-fast: setup ## the quick tests, without coverage, in a minute (ARGS=)
	@$(BIN)/pytest --numprocesses=4 --dist=worksteal --quiet $(FAST) $(ARGS)

check: lint test ## everything that a change must pass

chaos: setup-tests ## kills, faults and load from random seeds, for ten minutes (CHAOS_SECONDS=, CHAOS_SEED=)
	@CHAOS_SEED="$(CHAOS_SEED)" CHAOS_SECONDS="$(CHAOS_SECONDS)" \
		exec timeout --kill-after=20 "$(CHAOS_SECONDS)" $(BIN)/python -m tests.chaos

bench: setup-bench ## measure the bot, in ten minutes; writes bench/own/RESULTS.md (ROWS=, BENCH_ARGS=)
	@exec $(BIN)/python -m bench $(if $(ROWS),--rows "$(ROWS)") $(BENCH_ARGS)

bench-memory: setup ## the bench's memory row with 10,000 threads, in a quarter of an hour
	@exec $(BIN)/python -m bench.rows.memory --threads 10000

fuzz: setup-tests ## the property tests with more examples, new ones each time
	HYPOTHESIS_PROFILE=searching $(BIN)/pytest -m hypothesis --numprocesses=$(WORKERS) --timeout=900 $(ARGS)

screenshots: setup-tests ## take the README's screenshots again
	$(BIN)/python -m scripts.pictures

clean: ## remove .venv and all caches, but not the data
	rm -rf .venv .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find bot slack_emulator bench tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
