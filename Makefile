# Few targets, each of a line or two. `make run ARGS="--listen 0.0.0.0:8080"` passes flags to the server.
PYTHON ?= python3
LINES ?= 300000
BIN := .venv/bin
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.PHONY: run test check format bench mutate lock

run: .venv/runtime
	exec $(BIN)/logboom serve $(ARGS)

test: .venv/dev
	$(BIN)/pytest -q --durations=10 $(ARGS)

check: .venv/dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: .venv/dev
	$(BIN)/python benchmarks/run.py --lines $(LINES) $(ARGS)

mutate: .venv/dev
	$(BIN)/mutmut run --max-children 1 $(ARGS)
	$(BIN)/python tools/mutation_score.py

# `make prove-key_limits` runs benchmarks/key_limits.py, and so on.
prove-%: .venv/dev
	PYTHONPATH=tests:tests/store $(BIN)/python benchmarks/$*.py $(ARGS)

lock: .venv/dev
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) --extra postgresql --all-build-deps -o requirements/runtime.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) -o requirements/dev.txt requirements/dev.in

# The stamps say which locked set the environment was made from; a changed lock makes it again.
.venv/runtime: requirements/runtime.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/dev: .venv/runtime requirements/dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@
