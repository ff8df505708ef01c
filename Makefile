# make run   serve Parley on http://127.0.0.1:8000 (the demo model, or the real one with a key)
# make test  run the suite
# make lock  renew the hashed locks after a change of dependencies
# make check lint, types and import rules without the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_COMPILE_BYTECODE := 1

.PHONY: run test check lock bench crash

run: $(VENV)/.runtime
	@$(BIN)/parley serve

test: $(VENV)/.dev
	@$(BIN)/python -m pytest $(PYTEST)

check: $(VENV)/.dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

crash: $(VENV)/.dev
	$(BIN)/python -m tests.crash $(CRASH)

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench $(BENCH)

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# The development set holds the runtime set, so whoever has tested can run.
$(VENV)/.runtime: $(BIN)/uv deploy/requirements.lock pyproject.toml
	@test -f $(VENV)/.dev || $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r deploy/requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(BIN)/uv deploy/requirements-dev.lock pyproject.toml
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r deploy/requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

LOCK := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate
lock: $(BIN)/uv
	printf 'hatchling\neditables\n' | $(LOCK) pyproject.toml - -o deploy/requirements.lock
	$(LOCK) pyproject.toml --group dev -o deploy/requirements-dev.lock
