# Two commands for a newcomer: `make up` and `make test`. Each makes what it needs and is quick when nothing changed.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check install --constraint constraints.txt
TEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help up test check soak bench format clean constraints venv dev page

help:
	@echo "make up      start the hub, its servers and a simulated city (Ctrl-C stops everything)"
	@echo "make test    every test, against the real servers and a real browser"
	@echo "make check   format, lint, types and the import law"
	@echo "make soak    the tests that need long        make bench   the measures of the README"
	@echo "make format  write the format                make clean   remove what was installed and built"

up: venv page
	@$(BIN)/beffroi up $(ARGS)

test: dev page
	@$(BIN)/python -m hub.runtime
	@$(BIN)/pytest -m "not soak" --numprocesses 2 $(TEST_ARGS)

soak: .venv/.fuzz page
	@$(BIN)/python -m hub.runtime
	@$(BIN)/pytest -m soak $(TEST_ARGS)

check: dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: venv page
	@$(BIN)/python -m benchmarks $(ARGS)

# Data and secrets in .beffroi/ stay; only what `make up` makes again is removed.
clean:
	rm -rf .venv node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache .beffroi/runtime

# --- what the commands need: a stamp file is newer than what it was made from ---

venv: .venv/.program
dev: .venv/.dev
page: node_modules/.installed

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Beffroi needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Making the Python environment (.venv)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) pip setuptools
	@touch $@

.venv/.program: .venv/.python constraints.txt pyproject.toml
	@echo "Installing the program's Python packages"
	@$(PIP) --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.program
	@echo "Installing the tools for checks and tests"
	@$(PIP) --group dev
	@touch $@

.venv/.fuzz: .venv/.dev
	@$(PIP) --group fuzz
	@touch $@

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { echo "Beffroi needs Node 20 or newer with npm" >&2; exit 1; }
	@echo "Installing the page's packages (node_modules)"
	@npm ci --loglevel=error --no-audit --no-fund >/dev/null
	@touch $@

# New pins, from a real install of the newest versions; run the tests before committing them.
constraints: .venv/.python
	@$(BIN)/python -m pip -qq install --upgrade --no-build-isolation --editable . --group dev --group fuzz
	@{ echo "# Every package of the program and of its tests, as installed together; made by: make constraints"; \
	   $(BIN)/python -m pip freeze --all --exclude-editable | LC_ALL=C sort --ignore-case; } > constraints.txt
