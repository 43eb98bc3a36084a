# Everything starts here, on a machine that has only Python 3.11 or later and make: `make demo`, `make test`.
# Each target first sees to `.venv`; that is instant unless requirements.lock or pyproject.toml changed.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# To use one certain interpreter: make PYTHON=/path/to/python3.12
PYTHON ?=
WORKERS ?= 2

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check lint quick tables bench simulate lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## watch it look after real trades, no account or key needed
	$(BIN)/grodtd demo

test: $(STAMP) ## every test and every example in a docstring
	$(BIN)/python -m pytest -n $(WORKERS)

check: lint quick ## what to run before a commit: style, types, layers, quick unit tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

quick: $(STAMP)
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow" grodtd tests/unit

tables: $(STAMP) ## print the transition tables and draw their diagrams
	$(BIN)/python -m grodtd.tables

bench: $(STAMP) ## the benchmarks, each with the figure to beat beside it
	$(BIN)/python -m benchmarks.run_all

simulate: $(STAMP) ## the whole system in a seeded, faulty world
	$(BIN)/python -m benchmarks.simulate_all

# UPGRADE=1 moves every pin to the newest release; without it only what pyproject.toml asks for changes. The lock
# holds for every platform and Python from 3.11 on, and names no package index.
lock: $(STAMP) ## compile requirements.lock from pyproject.toml (UPGRADE=1 for newest releases)
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --output-file requirements.lock

clean: ## remove .venv, caches and build output
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An interpreter counts only if it really runs: a version manager leaves commands behind that merely print an error,
# and some distributions split ensurepip off, without which a venv has no pip.
PROBE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

$(STAMP): requirements.lock pyproject.toml
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  python=; \
	  for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	    if "$$candidate" -c '$(PROBE)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "grodtd needs Python 3.11 or later with venv (Debian, Ubuntu: apt install python3-venv)." >&2; \
	    echo "Tried: $(or $(PYTHON),python3.13 python3.12 python3.11 python3). Or name one: make PYTHON=/path/to/python" >&2; \
	    exit 1; \
	  fi; \
	  echo ">> making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV); \
	fi
	@echo ">> installing $$(grep -c '^[a-z]' requirements.lock) pinned packages (a minute or two the first time)"
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements.lock
	@echo ">> installing grodtd itself"
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@
	@echo ">> ready"
