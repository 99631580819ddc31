# Everything here works in a fresh clone, without root and without any other set-up.
# PYTHON=python3.12 names another Python (3.11 to 3.14); ARGS="…" is passed on.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
export PYTHON

# Tools are called through the environment's Python: a clone that was moved goes on working.

.DEFAULT_GOAL := help
.PHONY: help run demo test check fix lock conformance gauntlet overhead observatory-bench status-bench fuzz native clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.run ## Start the service on 127.0.0.1:8400 (ARGS="--port 9000")
	@$(BIN)/python scripts/link $(VENV)
	@$(BIN)/python scripts/native
	@exec $(BIN)/outlast serve $(ARGS)

demo: $(VENV)/.run ## Two scripted vendors, one goes down: watch the answers go on
	@$(BIN)/python scripts/link $(VENV)
	@$(BIN)/python scripts/native
	@exec $(BIN)/outlast demo $(ARGS)

test: $(VENV)/.dev native ## Run the tests (ARGS="tests/config -k typo")
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(VENV)/.dev native ## Format, lint, strict types, import contracts, docs against code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy src tests $(wildcard bench)
	PYTHONPATH=src $(BIN)/python $(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest tests/house

fix: $(VENV)/.dev ## Format, mend what lint can mend, and write the generated docs
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	PYTHONPATH=src $(BIN)/python -m outlast config reference > docs/.new && mv docs/.new docs/configuration.md

conformance: $(VENV)/.dev ## The real SDKs and coding tools against Outlast (needs node and npm)
	scripts/conformance $(ARGS)

gauntlet: $(VENV)/.dev native ## Broken conversations through Outlast and its peers (QUICK=1, ARGS="--only 5-7 --peers ccr")
	PYTHONPATH=src $(BIN)/python -m bench.gauntlet $(if $(QUICK),--quick) $(ARGS)

overhead: $(VENV)/.dev native ## What Outlast costs, beside nginx and its peers (QUICK=1, ARGS="--only c32 --peers smg")
	PYTHONPATH=src $(BIN)/python -m bench.overhead $(if $(QUICK),--quick) $(ARGS)

observatory-bench: $(VENV)/.dev ## What the observatory says, against records (DATA=DIR SINCE=DATE QUICK=1 ARGS="--only march")
	@DATA="$(DATA)" SINCE="$(SINCE)" QUICK="$(QUICK)" PYTHONPATH=src $(BIN)/python -m bench.observatory $(ARGS)

status-bench: $(VENV)/.dev ## Views of the status page a second on one core, on a bad day (ARGS="--seconds 20")
	PYTHONPATH=src $(BIN)/python -m bench.status $(ARGS)

fuzz: $(VENV)/.dev native ## A million hostile inputs for each parser, an hour and more (CASES=20000 CLIENTS=500 for minutes)
	@for format in anthropic openai_chat openai_responses; do \
	  PYTHONPATH=src $(BIN)/python -m tests.wire.fuzz_$$format $(or $(CASES),1000000) || exit 1; \
	done
	PYTHONPATH=src $(BIN)/python -m tests.gateway.relay.fuzz_relay $(or $(CASES),1000000)
	PYTHONPATH=src $(BIN)/python -m tests.native.fuzz_native $(or $(CASES),1000000)
	PYTHONPATH=src $(BIN)/python -m tests.endtoend.soak $(or $(CLIENTS),10000)

lock: $(VENV)/.dev ## Choose the packages anew and write their hashes
	scripts/lock $(BIN)/python

clean: ## Remove the environment and the caches; the data folder stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# One environment for both. The locks agree on every package they share, so what the tests need
# is laid over what the service needs, and a later `make run` has nothing to do.
$(VENV)/.run: requirements/run.lock scripts/install scripts/link
	@scripts/install $(VENV) requirements/run.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock scripts/install scripts/link
	@scripts/install $(VENV) requirements/dev.lock
	@touch $(VENV)/.run $@

native: | $(VENV)/.run ## Compile the parts that are in C as well, where there is a compiler (nothing needs them)
	@$(BIN)/python scripts/native
