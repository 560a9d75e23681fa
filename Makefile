# `make demo` and `make test` set themselves up: Python 3.11 or later and make are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo-library
# So many tests run side by side, one more than there are cores, as they wait for disks and other
# processes; 0: all in one process, as a debugger wants them.
TEST_JOBS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
# They make and remove some ten thousand files: in memory, where that has 2 GiB to spare and programs
# may be run from it; `make test TEST_TMPDIR=/tmp` takes the disk.
TEST_TMPDIR ?= $(shell $(PYTHON) -c 'import os; s = os.statvfs("/dev/shm"); \
	print("/dev/shm" * (s.f_bavail * s.f_frsize > 2 << 30 and not s.f_flag & os.ST_NOEXEC))' 2>&-)
# Tests start some hundred processes: each would compile our modules anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: clients demo serve test tests check lint types test-long test-mutants bench diagrams docs format clean

demo: $(VENV)/ready
	$(BIN)/musictasks demo --library $(DEMO)

# The demo's library, by a browser, at the address that it prints; Ctrl-C ends it.
serve: $(VENV)/ready
	test -d $(DEMO) || $(BIN)/musictasks demo --library $(DEMO)
	$(BIN)/musictasks serve --library $(DEMO)

# The types are checked beside the tests: one process, half a minute, one report at its end.
test: lint
	$(MAKE) --no-print-directory -j2 types tests

tests: $(VENV)/ready
	$(if $(TEST_TMPDIR),TMPDIR=$(TEST_TMPDIR)) $(BIN)/python -m pytest -m "not long and not mutants" -n $(TEST_JOBS) --dist worksteal

check: lint types

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/ready
	$(BIN)/basedpyright

# Bounded: long fuzzing and the large crash sweeps, some minutes.
test-long: $(VENV)/ready
	$(BIN)/python -m pytest -m long

# Breaks the code on purpose, one bug at a time; the tests have to notice each.
test-mutants: $(VENV)/ready
	$(BIN)/python -m pytest -m mutants

bench: $(VENV)/ready
	$(BIN)/python benchmarks/run.py

# The pictures and tables, which tests compare with the declarations.
diagrams: $(VENV)/ready
	$(BIN)/python -m musictasks.diagrams diagrams
	cd examples && ../$(BIN)/musictasks diagram --lifecycle documents:DOCUMENTS documents.svg

# The site, in site/: the pages and an API reference. Whatever is doubtful ends it.
docs: $(VENV)/docs
	$(BIN)/python docs/site.py build/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "musictasks needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready: pyproject.toml src/musictasks/__init__.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Clients of other people that tests run: tus-js-client and Uppy. Node and npm have to be there.
clients: tests/clients/node_modules/.ready

tests/clients/node_modules/.ready: tests/clients/package.json
	npm install --silent --prefix tests/clients
	@touch $@

$(VENV)/docs: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) build site src/*.egg-info $(DEMO) .pytest_cache .ruff_cache .hypothesis
