# Every command a maintainer needs; `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-zA-Z_.-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv: requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; set PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch .venv

.PHONY: run test chaos check docs demo bench lock format
run: .venv ## set up everything and start the hub: web and workers, SQLite, no key needed
	@$(BIN)/python manage.py serve --setup

test: .venv ## run every test (T=path::name for some, DB=postgres for PostgreSQL)
	@$(BIN)/python -m tests.servers install
	@$(if $(filter postgres,$(DB)),$(BIN)/python -m tests.servers postgres -- )$(BIN)/python -m pytest $(if $(T),$(T),-n 2 --dist worksteal)

SEEDS ?= 0-19
chaos: .venv ## bad days of three federated nodes over real HTTP (SEEDS=0-59 for more), ten seconds each
	@CHAOS_SEEDS=$(SEEDS) $(BIN)/python -m pytest -n 0 tests/federation/chaos

format: .venv ## put the code into its usual form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

check: .venv ## format, lint, types, import contracts, migrations, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level ERROR
	$(BIN)/python manage.py document --check

docs: .venv ## write the documents that are generated from the code
	$(BIN)/python manage.py document

demo: .venv ## the whole journey, offline, within two minutes
	@$(BIN)/python manage.py demo

bench: .venv ## measure what a user feels; prints the table of docs/benchmarks.md
	@$(BIN)/python -m benchmarks

lock: .venv ## pin the dependencies anew from pyproject.toml
	$(BIN)/uv pip compile -q pyproject.toml -o requirements.txt --no-header --python-version 3.11
	$(BIN)/uv pip compile -q pyproject.toml --extra dev -o requirements-dev.txt -c requirements.txt --no-header --python-version 3.11
