# One command for each job. Every target sets up what it needs first; stamps in .make/ keep that quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export CARGO_TERM_COLOR ?= auto

RUST_SOURCES := $(shell find crates -name '*.rs' -o -name '*.sql' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: run test test-long fuzz lint fmt setup setup-dev wheel bench pins clean

run: setup ## set everything up, then a gateway with a demo fleet
	$(BIN)/mohhos demo

setup: .make/native

.make/venv: requirements/base.txt requirements/build.txt
	@mkdir -p .make
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt -r requirements/build.txt
	@touch $@

.make/native: .make/venv pyproject.toml $(RUST_SOURCES)
	@echo "Building the native core; the first time takes some minutes."
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.make/dev: .make/native requirements/dev.txt scripts/apt-install scripts/client-libraries scripts/mosquitto-suite \
		$(wildcard tests/integration/clients/*/*)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	scripts/apt-install mosquitto mosquitto-clients chromium
	scripts/client-libraries
	scripts/mosquitto-suite
	@touch $@

setup-dev: .make/dev

lint: setup-dev ## what must be clean before a commit
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings

fmt: setup-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	cargo fmt --all

test: lint ## everything that must pass, in less than 25 minutes from nothing on 2 cores
	cargo test --workspace --quiet
	$(BIN)/python -m pytest -m "not long"
	scripts/fuzz 2

test-long: setup-dev ## what takes longer: see CONTRIBUTING
	MOHHOS_LONG=1 cargo test --workspace --release --quiet -- --include-ignored
	$(BIN)/python -m pytest -m long

fuzz: ## looks for inputs that break parsers and sessions, SECONDS for each target (an hour if not given)
	scripts/fuzz $(or $(SECONDS),3600)

wheel: .make/venv
	$(BIN)/maturin build --release --out dist

bench: setup-dev ## the benchmark of docs/benchmarks.md; prints ratios, keeps them in bench/results/
	cargo build --release --quiet -p mohhos-load
	$(BIN)/python -m bench

pins: .make/dev ## renews the pinned Python packages
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --python-version 3.11 --universal pyproject.toml -o requirements/base.txt
	$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --python-version 3.11 --universal --group build -o requirements/build.txt -c requirements/base.txt
	$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --python-version 3.11 --universal pyproject.toml --group dev -o requirements/dev.txt -c requirements/base.txt

clean:
	rm -rf target $(VENV) .make dist python/mohhos/*.so
