# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# LOCKED=1 installs what .lock/ holds, by its hashes, and nothing else: continuous integration does.
LOCKED ?=
SUPPLY := .cache/supply
SPREAD := --ignore tests/e2e --numprocesses auto --dist worksteal

# Some machines have it for everything; the suite starts hundreds of processes, and each would compile all of Headway again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-long test-agents test-cluster lint fuzz crash soak soak-day
.PHONY: bench bench-agents bench-cluster bench-console bench-fleet bench-memory picture pictures clean
.PHONY: lock lock-check audit sbom image-check unit-check

run: $(VENV)/installed
	@$(BIN)/headway demo

test: $(VENV)/installed-dev
	@HEADWAY_LOCKED=$(LOCKED) $(BIN)/python -m pytest -m 'not long' $(SPREAD)

# What takes long: engines that are killed again and again, whole days, the bytes of each key, a wheel that is installed.
test-long: $(VENV)/installed-dev
	@$(BIN)/python -m pytest -m long $(SPREAD)

# The real claude, codex, opencode and gemini, installed with npm into .cache (1.3 GB), against a model server on
# loopback. One after the other: they are large. Without npm it says loudly that it did not run them.
test-agents: $(VENV)/installed-dev
	@$(BIN)/python -m pytest tests/e2e

# Ray itself with three nodes on this machine: 300 jobs, a node killed among them, an engine killed and started again, the
# real claude on a node. Some minutes.
test-cluster: $(VENV)/installed-cluster
	@HEADWAY_TEST_CLUSTER=1 $(BIN)/python -m pytest -s tests/cluster

# What a node costs beside this machine, and what two and three bring; some minutes, to docs/scale.md's table.
# ARGS=--quick for a few of each.
bench-cluster: $(VENV)/installed-cluster
	@$(BIN)/python -m tests.benchmarks.cluster $(ARGS)

lint: $(VENV)/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Everything that is read from others, fuzzed for ten minutes of one core. ARGS="--minutes 60 config http" for another
# course; what breaks the contract is written to build/fuzz.
fuzz: $(VENV)/installed-dev
	@$(BIN)/python -m tests.fuzz $(ARGS)

# The engine is killed 200 times at random moments under load; the suite does it a few times each time it runs.
crash: $(VENV)/installed-dev
	@HEADWAY_CRASH_KILLS=200 $(BIN)/python -m pytest -s tests/crash/test_random_kills.py

# A hundred rehearsals of every format while the engine is killed a dozen times: the ledger has to agree with what the
# stand-ins told. Some minutes: a few of them wait for a limit to end.
soak: $(VENV)/installed-dev
	@HEADWAY_SOAK_JOBS=100 HEADWAY_SOAK_KILLS=12 $(BIN)/python -m pytest tests/crash/test_rehearsals.py

# Days of work in minutes: 60,000 jobs through an engine whose clock runs fast, and whether anything grows. About 15 minutes.
soak-day: $(VENV)/installed-dev
	@$(BIN)/python -m tests.benchmarks.soak $(ARGS)

# Ratios against what the machine and other queues can do, measured in one run of some minutes; tables on standard
# output, and as markdown with a picture in build/bench. As root it installs PostgreSQL from Debian where it is missing.
bench: $(VENV)/installed-bench
	@$(BIN)/python -m tests.benchmarks.startup
	@$(BIN)/python -m tests.benchmarks.queue
	@$(BIN)/python -m tests.benchmarks.tap

# What the console costs a line, a core and a memory, beside an empty Textual app, htop and lazygit; some minutes.
bench-console: $(VENV)/installed-dev
	@$(BIN)/python -m tests.benchmarks.console

# What one engine takes to follow 50 to 500 agents that stream, beside a bare follower of the same files; some minutes.
bench-fleet: $(VENV)/installed-dev
	@$(BIN)/python -m tests.benchmarks.fleet $(ARGS)

# How many real claude processes fit into memory, and that admission stops there; some minutes, and up to 12 GiB for them.
bench-agents: $(VENV)/installed-dev
	@$(BIN)/python -m tests.benchmarks.agents_in_memory $(ARGS)

# How well memory finds and how fast, beside bare numpy, bare FTS5 and LanceDB, on sets that are made here; some minutes.
# ARGS=--full takes LanceDB to 230,000 things too: twenty minutes.
bench-memory: $(VENV)/installed-bench
	@$(BIN)/python -m tests.benchmarks.memory $(ARGS)

# The lock files from pyproject.toml: every package with its version and hashes, for every Python that Headway runs on.
# A version that is locked stays where it can; ARGS=--upgrade takes the newest.
lock: $(SUPPLY)/installed
	@$(SUPPLY)/bin/python -m tests.supply.make_lock $(ARGS)

# The lock against pyproject.toml and against itself, without a network; with LOCKED=1 this environment against it too.
lock-check: $(VENV)/installed-dev
	@HEADWAY_LOCKED=$(LOCKED) $(BIN)/python -m pytest tests/supply/test_lock.py

# What is known against the locked packages. Without a network it says loudly that it could not ask.
audit: $(SUPPLY)/installed
	@$(SUPPLY)/bin/python -m tests.supply.audit

# A list of all that the image installs, with hashes, in CycloneDX's form. The image carries its own, from what is in it.
sbom: $(SUPPLY)/installed
	@mkdir -p build
	@$(SUPPLY)/bin/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --of JSON -o build/sbom.cdx.json .lock/serve.txt
	@echo build/sbom.cdx.json

# The Dockerfile's own steps in a clean root, and the engine that comes of them started, asked and stopped. As root, with
# bubblewrap and debootstrap; some minutes, and a gigabyte below .cache.
image-check: $(VENV)/installed-dev
	@$(BIN)/python -m tests.image.check

# What came of it under a real systemd, in a container of systemd-nspawn: installed, restarted, reloaded and stopped.
unit-check: $(VENV)/installed-dev
	@$(BIN)/python -m tests.image.unit

# Every screen, from the real console on the rehearsal fleet.
pictures: $(VENV)/installed picture
	@mkdir -p docs/screens
	@$(BIN)/headway demo --picture docs/screens --size 110x30 --speed 1

# The picture in the README, from the real console at work.
picture: $(VENV)/installed
	@$(BIN)/headway demo --picture docs/console.svg --size 120x32

clean:
	rm -rf $(VENV) dist build .cache

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headway needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifeq ($(LOCKED),)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
endif
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
ifeq ($(LOCKED),)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
else
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .lock/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endif
	@touch $@

$(SUPPLY)/installed: .lock/supply.txt
	@test -x $(SUPPLY)/bin/python || $(PYTHON) -m venv $(SUPPLY)
	@$(SUPPLY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .lock/supply.txt
	@touch $@

$(VENV)/installed-cluster: $(VENV)/installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,cluster]'
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@
