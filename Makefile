# Everything that is done with this project by hand, one command each. `make` alone lists them.

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
# What needs no process, no server and no network: rules, contracts, and what is read from Slack and
# from the runtime.
FAST := tests/unit tests/contracts tests/integration/slack/api/test_destinations.py \
	tests/integration/slack/events/test_edits.py tests/integration/slack/test_payload_fuzz.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests setup-bench demo run doctor emulator sandbox lint test test-fast check chaos bench bench-memory fuzz screenshots clean

help: ## list what there is to do
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install everything into .venv; what is there is not done again
	@$(PYTHON) scripts/setup.py

setup-tests: ## besides, what only the tests need: Chromium, Bolt for JavaScript, the Chat SDK
	@$(PYTHON) scripts/setup.py --tests

setup-bench: ## besides, what the bench holds the bot against: the Chat SDK
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

lint: setup ## ruff, mypy and the import contracts; all of them, also when one finds something
	@for check in "ruff check ." "ruff format --check ." mypy "mypy scripts" lint-imports; do \
		echo "== $$check"; $(BIN)/$$check || failed=1; \
	done; test -z "$$failed"

test: setup-tests ## all tests, with coverage (ARGS= goes to pytest, WORKERS= run at once)
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=worksteal --cov --cov-branch --cov-report=term $(ARGS)

test-fast: setup ## the quick ones of the tests, without coverage, in a minute (ARGS=)
	@$(BIN)/pytest --numprocesses=4 --dist=worksteal --quiet $(FAST) $(ARGS)

check: lint test ## all that a change has to pass

chaos: setup-tests ## kills, faults and load, from ever new seeds, for ten minutes (CHAOS_SECONDS=, CHAOS_SEED=)
	@CHAOS_SEED="$(CHAOS_SEED)" CHAOS_SECONDS="$(CHAOS_SECONDS)" \
		exec timeout --kill-after=20 "$(CHAOS_SECONDS)" $(BIN)/python -m tests.chaos

bench: setup-bench ## how fast the bot is, in ten minutes; writes bench/own/RESULTS.md (ROWS=, BENCH_ARGS=)
	@exec $(BIN)/python -m bench $(if $(ROWS),--rows "$(ROWS)") $(BENCH_ARGS)

bench-memory: setup ## the bench's row of memory with 10,000 threads, which takes a quarter of an hour
	@exec $(BIN)/python -m bench.rows.memory --threads 10000

fuzz: setup-tests ## the properties with other examples each time, and more of them
	HYPOTHESIS_PROFILE=searching $(BIN)/pytest -m hypothesis --numprocesses=$(WORKERS) --timeout=900 $(ARGS)

screenshots: setup-tests ## make the README's pictures anew
	$(BIN)/python -m scripts.pictures

clean: ## remove .venv and all caches; data stays
	rm -rf .venv .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find bot slack_emulator bench tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
