# Needs Python 3.11 or newer and a package index. `make` lists the targets.

# The interpreter of .venv.
PYTHON ?= python3.11
TORCH ?= torch==2.13.0
# The index of torch, such as https://download.pytorch.org/whl/cpu for the build without CUDA. Empty: the default index.
TORCH_INDEX ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help demo test test-fast check fix bench docs build
.DEFAULT_GOAL := help

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=$(PYTHON) TORCH=$(TORCH) TORCH_INDEX=$(TORCH_INDEX)"

demo: .venv/user ## The whole method on the embedded sample, in minutes.
	$(BIN)/cotpd demo
	@echo 'The command is $(BIN)/cotpd; to call it cotpd: source $(BIN)/activate'

test: .venv/dev ## Every test.
	$(BIN)/python -m pytest

test-fast: .venv/dev ## The tests that train nothing and start no processes.
	$(BIN)/python -m pytest -m "not slow"

check: .venv/dev ## Lint, format, types, import contracts, dependencies.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

fix: .venv/dev ## Mend what a tool can mend.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/dev ## Side-by-side measurements; minutes to an hour.
	for program in benchmarks/*.py; do echo "== $$program"; $(BIN)/python $$program || exit 1; done

docs: .venv/dev ## The generated pages: docs/reference, docs/knowledge-examples.md.
	$(BIN)/python docs/reference.py
	$(BIN)/python docs/knowledge_examples.py

build: .venv/dev ## The wheel and the source distribution in dist/.
	$(BIN)/python -m build

# Each file below says that its packages are installed; a change of the lists installs again.
.venv/user: pyproject.toml requirements-offline.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --upgrade pip
	$(PIP) install "$(TORCH)" $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)")
	$(PIP) install --no-deps --require-hashes -r requirements-offline.txt
	$(PIP) install -e ".[train]"
	touch $@

.venv/dev: .venv/user
	$(PIP) install -e ".[train,llm,captions,formats]" --group dev
	touch $@
