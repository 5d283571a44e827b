# SPDX-License-Identifier: MIT
# `make demo` and `make test` need Python >= 3.11, a C compiler and make; all else goes into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# What the extensions are made of: a change rebuilds them before anything runs.
NATIVE := pyproject.toml setup.py $(shell find cowfast -name '*.pyx' -o -name '*.pxd')

.PHONY: demo test test-all test-long lint bench docs clean help
.DELETE_ON_ERROR:

help:
	@echo 'make demo   build, replay a real redis trace under every policy, print the table, write the figures (out/)'
	@echo 'make test   build, install what the tests need, run the tests of a second or less each'
	@echo 'make test-all  those and the slower ones, as .ci/run does: five minutes'
	@echo 'make test-long  the tests that take minutes: every ready-made sweep, hostile files and signals for every command'
	@echo 'make lint   style, types, stubs, import rules'
	@echo 'make bench  measured rates against their goals'
	@echo 'make docs   the documentation, into docs/_build/html'
	@echo 'make clean  remove what the above made (not $(VENV))'

# The commands are shown as they run: what a reader would type.
demo: export PATH := $(CURDIR)/$(BIN):$(PATH)
demo: $(VENV)/ready
	@mkdir -p out
	@echo; echo 'A redis server that saves itself while its clients write, as recorded with perf; replayed with less memory than it had.'
	cowfast trace import perf tests/data/redis-bgsave.txt.xz -o out/redis.cow
	cowfast compare out/redis.cow --policy all --memory 60% --format json > out/redis.json
	cowfast compare out/redis.json
	cowfast plot out/redis.json copies -o out/redis-copies.png
	cowfast plot out/redis.json churn -o out/redis-churn.png
	@echo; echo 'A million random events: no locality that could excuse a policy.'
	cowfast compare random-mix --events 1000000 --policy all --memory 75% --seed 1 --format json > out/random-mix.json
	cowfast compare out/random-mix.json
	cowfast plot out/random-mix.json copies -o out/random-mix-copies.png
	cowfast plot out/random-mix.json churn -o out/random-mix-churn.png
	cowfast report out/redis.json -o out/redis.html
	@echo; echo 'Figures and a report are in out/. More to type after `. $(BIN)/activate`: cowfast --help'

test: $(VENV)/ready-test
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

test-all: $(VENV)/ready-test
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not long' $(PYTEST_ARGS)

test-long: $(VENV)/ready-test
	$(BIN)/python -m pytest -n auto --dist worksteal -m long $(PYTEST_ARGS)

# cython-lint calls pycodestyle by its bare name.
lint: export PATH := $(CURDIR)/$(BIN):$(PATH)
lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cython-lint cowfast
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --concise --mypy-config-file pyproject.toml --ignore-unused-allowlist --allowlist tests/stubtest-allowlist.txt $$(sh tests/compiled-modules.sh)
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/ready-test
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=min,median,rounds
	$(BIN)/cowfast bench --quick

docs: $(VENV)/ready-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf build dist out docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find cowfast -name '*.so' -delete

# A stamp for each set of packages; the first is an editable install, so that sources are used as they are.
$(VENV)/ready: $(NATIVE) | $(VENV)/bin/python
	@echo 'Installing into $(VENV): fetches packages and compiles; a minute on an idle machine, then it is done.'
	$(PIP) install --editable .
	@touch $@
# What is installed already is not compiled again for an extra.
$(VENV)/ready-%: $(VENV)/ready
	$(PIP) install 'cowfast[$*]'
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'cowfast needs Python >= 3.11; say which one: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) \
	  || { echo 'venv is missing: on Debian and Ubuntu, apt install python3-venv python3-dev' >&2; rm -rf $(VENV); exit 1; }
