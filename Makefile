# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: run test lint bench picture clean

run: $(VENV)/installed
	@$(BIN)/headway demo

test: $(VENV)/installed-dev
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: $(VENV)/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Ratios against what the machine can do, measured in one run; writes its table to standard output.
bench: $(VENV)/installed-dev
	@$(BIN)/python -m tests.benchmarks.startup

# The picture in the README, from the real console at work.
picture: $(VENV)/installed
	@$(BIN)/headway demo --picture docs/console.svg --size 132x36

clean:
	rm -rf $(VENV) dist build .cache

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headway needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
