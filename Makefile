# `make help` lists the targets. Everything lives in .venv; Python 3.11 or newer and make are all it needs.

.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
TRAINERS := .venv-trainers
STAMP := $(VENV)/.installed
SITE := build/site/files.json
DATA_DIR ?= widthwise-data
PORT ?= 8000
SWEEPS ?= build/public_sweeps.csv
SAMPLE ?= 200
SEED ?= 0

# The first of these that runs and is new enough; `make PYTHON=/path/to/python install` names another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c '$(NEW_ENOUGH)' 2>/dev/null; then echo $$python; break; fi; done)

.PHONY: help install demo serve test test-models test-trainers test-browser pictures check docs docs-serve wheels ci format audit mutants bench bench-science bench-service evidence accelerator pages secrets soak clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP)  ## make .venv with every extra
	@echo "$(VENV) is ready: make demo, make serve, make test"

$(STAMP): pyproject.toml distributions/server/pyproject.toml requirements/constraints.txt
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(NEW_ENOUGH)'; then \
		echo "Widthwise needs Python 3.11 or newer, and $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) --version 2>&1);" \
			"install one, or name it: make PYTHON=/path/to/python install" >&2; exit 1; fi
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ($$($(BIN)/python --version)); the first time takes a minute or two."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c requirements/constraints.txt -e '.[dev]' -e 'distributions/server[service,worker,postgres,broker,tracing]'
	@# mup is an oracle of the tests; without its dependencies, which are PyTorch and its data sets
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		-c requirements/constraints.txt mup
	@touch $@

demo: $(STAMP)  ## see all of it in a minute or two: transfer, calibrate, transfer again
	@$(BIN)/widthwise demo --data-dir $(DATA_DIR)

# The first time it builds the guide too, which takes ten seconds; without a network it serves all the same.
serve: $(STAMP)  ## serve the page, the API, the guide and local workers until Ctrl-C (PORT=8000)
	@$(MAKE) --no-print-directory $(SITE) || echo "The guide could not be built; the rest is served without it." >&2
	@$(BIN)/widthwise serve --data-dir $(DATA_DIR) --port $(PORT)

# In the order of names, so that the unit tests, which are quick, come last and three processes end together.
test: $(STAMP) $(SITE)  ## run the test suite, without the part that needs PyTorch
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore tests/models --ignore tests/trainers --ignore tests/browser
	@echo "tests/models needs PyTorch and model libraries: make test-models installs them and runs it"

test-models: $(VENV)/.models  ## run tests/models: install PyTorch and model libraries, and read 80 models
	@$(BIN)/python -m pytest -n 2 --dist worksteal tests/models

$(VENV)/.models: $(STAMP)
	@echo "Installing PyTorch and model libraries into $(VENV); the first time takes a few minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts \
		-c requirements/constraints.txt -e '.[models,optuna,ray]'
	@# timm needs torchvision for pictures on disk alone; the tests stand in for it
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c requirements/constraints.txt timm
	@touch $@

test-trainers: $(TRAINERS)/.installed  ## run tests/trainers: install trainers apart, and load every export by their own code
	@$(TRAINERS)/bin/python -m pytest --confcutdir tests/trainers tests/trainers

$(TRAINERS)/.installed: $(STAMP) requirements/trainers.txt requirements/trainers-alone.txt
	@echo "Installing trainers into $(TRAINERS); the first time takes a minute or two."
	@test -x $(TRAINERS)/bin/python || $(BIN)/python -m venv $(TRAINERS)
	@$(TRAINERS)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
		-c requirements/constraints.txt -e . -r requirements/trainers.txt
	@$(TRAINERS)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --no-deps \
		-c requirements/constraints.txt -r requirements/trainers-alone.txt
	@touch $@

test-browser: $(VENV)/.browser $(SITE)  ## run tests/browser: install Chromium and Playwright's library, and use the page as a reader does
	@$(BIN)/python -m pytest tests/browser

pictures: $(VENV)/.browser $(SITE)  ## draw the pictures of the page in docs/pictures again
	@$(BIN)/python -m tests.browser.pictures

# Debian's browser, driven by the library alone: Playwright's own browsers are not on PyPI.
$(VENV)/.browser: $(STAMP) requirements/browser.txt
	@command -v chromium > /dev/null || { \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then \
			echo "tests/browser needs Chromium as \`chromium\`: apt-get install chromium" >&2; exit 1; fi; \
		echo "Installing Chromium; this takes a minute or two."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			chromium fonts-noto-core fonts-dejavu-core > /dev/null; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c requirements/constraints.txt -r requirements/browser.txt
	@touch $@

check: $(STAMP)  ## format, lint of Python and of the scripts, types and import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/oxlint --quiet --deny-warnings
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Not --quiet: it hides the warnings from --strict too, and every link would pass.
docs: $(VENV)/.docs  ## build the documentation into build/site; every link in it has to lead somewhere
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "The documentation is in build/site: open build/site/index.html, or make docs-serve for its search too"

# Where it is needed and nobody asked for it: built again only if a page has changed. Its references of the code may be
# older than the code; `make docs` writes everything.
$(SITE): $(wildcard docs/*.md docs/*/*.md docs_site/*.py docs_site/*.css docs_site/*.js) README.md mkdocs.yml | $(VENV)/.docs
	@echo "Building the guide from docs/."
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# Both are built with what .venv has, so that no other version of anything is downloaded.
wheels: docs  ## build both wheels into dist/, the server's with the guide inside
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--wheel-dir dist . distributions/server
	@ls dist/*.whl

docs-serve: docs  ## serve the documentation on http://127.0.0.1:8080 until Ctrl-C (a browser searches no page on a disk)
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site 8080

$(VENV)/.docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt -e '.[docs]'
	@touch $@

ci: check docs test test-models test-trainers test-browser  ## what CI runs: check, then every test

format: $(STAMP)  ## put the code into the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

audit: $(STAMP)  ## look every pinned package up in the database of known vulnerabilities
	@$(BIN)/python requirements/audit.py

mutants: $(STAMP)  ## change the mathematics at random and list what no unit test notices (SAMPLE=200 SEED=0; minutes)
	@$(BIN)/python -m benchmarks.mutants --sample $(SAMPLE) --seed $(SEED)

bench: $(STAMP)  ## print milliseconds per plan, and requests per second compared with a constant plan and a bare echo
	@$(BIN)/python -m benchmarks.plans
	@echo
	@$(BIN)/python -m benchmarks.service_transfers --dry

# The pages of docs/results. Each is a target of its own: `make horizon` measures that page again and writes it.
SCIENCE := known_truth known_exponents searches real_searches measured_exponents early_stopping utilisation horizon transfer_slopes \
	muon depth decay batch_size token_rules parameterizations held_out_width held_out_width_256 cost plan_cost import_time optax_leaves
MODELS := real_models tracing param_groups
SERVICE := service_transfers service_large service_submit unread_answers service_exponents service_claim database_growth \
	scaling soak page_first_view page_frames

# What a page's command is given beyond its defaults
transfer_slopes: OPTIONS := --skip per_layer:ntk per_layer:mean_field
held_out_width: OPTIONS := --parameterizations standard mup
held_out_width_256: OPTIONS := --widths 16 32 64 --held-out 256 --parameterizations ntk mean_field

.PHONY: $(SCIENCE) $(MODELS) $(SERVICE) public_sweeps ask_tell
.NOTPARALLEL: # two measurements at once would measure each other

$(SCIENCE) $(MODELS) $(SERVICE): $(STAMP)
	@$(BIN)/python -m benchmarks.$(patsubst held_out_width_%,held_out_width,$@) $(OPTIONS)

cost: $(VENV)/.bench

page_first_view page_frames: $(VENV)/.browser

$(MODELS): $(VENV)/.models

$(VENV)/.bench: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

soak:  ## 200 calibrations while everything is killed and restarted (8 minutes; writes docs/results/soak.*)

# With a table that is not part of this repository: make public_sweeps ask_tell SWEEPS=PATH
public_sweeps ask_tell: OPTIONS = --data $(SWEEPS)
public_sweeps ask_tell: $(STAMP)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.$@ $(OPTIONS)

bench-science: $(SCIENCE) $(MODELS)  ## measure the science's pages of docs/results again (hours on two cores)

bench-service: $(SERVICE)  ## measure the service's pages again, on TEST_DATABASE_URL, else a Postgres from PyPI

evidence: bench-science bench-service public_sweeps ask_tell  ## measure every page of docs/results again (one alone: make horizon)

# Needs an accelerator that JAX finds, so it is not part of the evidence that any machine can measure again.
accelerator: $(STAMP)  ## measure the engine on an accelerator (under 8 minutes; writes docs/results/accelerator.*)
	@$(BIN)/python -m benchmarks.accelerator

pages: $(STAMP)  ## say which pages of docs/results name no commit at which they can be made again
	@$(BIN)/python -m benchmarks.pages

# Compose hands a secret's file over with the owner and mode that it has here, and each container has a user of its own:
# so anyone may read the files, and nobody but you reaches the folder. What is there already is kept.
secrets:  ## write the secrets of docker-compose.yml to ./secrets, those that are missing
	@umask 077 && mkdir -p secrets && chmod 700 secrets
	@for name in postgres_password redis_password pepper; do \
		if test -s secrets/$$name; then echo "secrets/$$name is kept"; \
		else od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > secrets/$$name && echo "secrets/$$name is new"; fi \
			&& chmod 444 secrets/$$name || exit 1; done

clean:  ## remove .venv and every cache (never data)
	rm -rf $(VENV) $(TRAINERS) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
