# make run    serve Parley on http://127.0.0.1:8000: the demo model, or the real one when there is a key
# make test   run the suite
# make check  formatting, lint, types and import rules, without the tests
# make crash  kill the server again and again, and count what got lost
# make bench  measure a served Parley
# make lock   renew the hashed locks after a change of dependencies
#
# PYTEST="-k floor" and the like go to pytest; PYTHON=python3.13 chooses the Python that .venv is made of.
VENV := .venv
BIN := $(VENV)/bin
UV := uv==0.13.8
# Where the machine has certificates of its own (a company's proxy has), they count; pip already goes by them.
CERTIFICATES := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt))
ifneq ($(CERTIFICATES),)
export UV_SYSTEM_CERTS := true
export NODE_EXTRA_CA_CERTS ?= $(CERTIFICATES)
endif
# Processes of the suite: each core has one.
WORKERS ?= auto

# The first Python that is new enough; many machines call an old one python3.
ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(ENOUGH)' 2>/dev/null && echo $$python && break; done)

.PHONY: run test check crash bench lock

run: $(VENV)/.runtime
	@exec $(BIN)/parley serve

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST)

check: $(VENV)/.dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

crash: $(VENV)/.dev
	$(BIN)/python -m tests.crash $(CRASH)

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench $(BENCH)

$(BIN)/uv:
	@$(or $(PYTHON),python3) -c '$(ENOUGH)' 2>/dev/null || { \
		echo 'Parley needs Python 3.11 or newer, and found none. Install one, or name it: make PYTHON=/path/to/python3.12'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo 'That Python makes no virtual environments. On Debian and Ubuntu: apt install python3-venv'; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)

# The development set holds the runtime set, so whoever has tested can run.
$(VENV)/.runtime: $(BIN)/uv deploy/requirements.lock pyproject.toml
	@echo 'Installing Parley into $(VENV) ...'
	@test -f $(VENV)/.dev || $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r deploy/requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# Compiled at once here, since tests start many processes; the server compiles what it imports, in half the time.
$(VENV)/.dev: export UV_COMPILE_BYTECODE := 1
$(VENV)/.dev: $(BIN)/uv deploy/requirements-dev.lock pyproject.toml
	@echo 'Installing Parley and what tests it into $(VENV) ...'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r deploy/requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

LOCK := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate
lock: $(BIN)/uv
	printf 'hatchling\neditables\n' | $(LOCK) pyproject.toml - -o deploy/requirements.lock
	$(LOCK) pyproject.toml --group dev -o deploy/requirements-dev.lock
