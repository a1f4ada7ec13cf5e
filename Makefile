# `make help` lists the commands. Everything is installed into .venv; nothing outside the checkout is changed.

ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell python3.11 --version >/dev/null 2>&1 && echo python3.11 || echo python3)
endif

# Public data beside the checkout is used where it is there; a folder that the user names wins.
ifneq ($(wildcard ../shared/data/.),)
MESOCOSM_DATA ?= $(abspath ../shared/data)
export MESOCOSM_DATA
endif

VENV := .venv
BENCH := $(VENV)/bench-libs
PEERS := $(VENV)/peers
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all check docs bench clean

help:
	@echo "make demo      install, run the main scenario, print the comparison and where the report is"
	@echo "make test      run the test suite (slow tests left out)"
	@echo "make test-all  run the test suite with its slow tests"
	@echo "make check     lint, format, types, import contracts, documentation"
	@echo "make docs      build the documentation into docs/_build/html"
	@echo "make bench     run the benchmarks and write their table into docs/benchmarks.md"
	@echo "make clean     remove .venv, built documentation and caches; run folders stay"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[dev,docs]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/mesocosm run scenarios/boarding-school.yaml

test: $(VENV)/.installed-dev
	$(PYTEST)

test-all: $(VENV)/.installed-dev
	$(PYTEST) -m "slow or not slow"

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) docs

docs: $(VENV)/.installed-dev
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

# MFGLib pins what the tests run with to other versions, so it has a folder of its own, which only the benchmark looks into.
$(BENCH)/.installed: tests/benchmarks/requirements.txt | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(BENCH) -r $<
	@touch $@

# Other libraries that run agents, in an environment of their own.
$(PEERS)/.installed: tests/benchmarks/peers.txt | $(VENV)/.installed
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench: $(VENV)/.installed
	@$(MAKE) $(BENCH)/.installed || echo "MFGLib could not be installed; its part of the benchmarks is left out"
	@$(MAKE) $(PEERS)/.installed || echo "other libraries could not be installed; their lines of the benchmarks are left out"
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find framework plugins tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
